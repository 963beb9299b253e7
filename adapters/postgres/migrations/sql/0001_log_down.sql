DROP TABLE idempotency_keys, channel_entries, events, channel_heads, stream_heads, partitions, resources, api_keys, organizations,
           installation;
DROP FUNCTION log_conflict(text), index_key(jsonb, text);
