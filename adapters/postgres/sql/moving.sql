-- replace_options --
-- Everything that an organization says of its clients, and nothing of what it said before.
UPDATE organizations
   SET client_publish = false, anonymous = $2, client_insecure = $3, unknown_namespaces = $4, channel_options = $5,
       token_keys_sealed = $6, backend_sealed = $7, version = version + 1, updated_at = clock_timestamp()
 WHERE organization_id = $1

-- forget_namespaces --
-- All its namespaces.
DELETE FROM channel_namespaces WHERE organization_id = $1

-- channels_after --
-- Some of its channels, in their order.
SELECT channel FROM channel_heads WHERE organization_id = $1 AND channel > $2 ORDER BY channel LIMIT $3

-- last_seq --
-- How far its log has come.
SELECT last_seq FROM stream_heads WHERE organization_id = $1

-- forget_entries_of --
-- What stands in some of its channels.
DELETE FROM channel_entries WHERE organization_id = $1 AND channel = ANY($2)

-- forget_events_up_to --
-- Its events up to a `seq`.
DELETE FROM events WHERE organization_id = $1 AND seq <= $2

-- hold_partition --
-- The partition of its log, to which nothing is appended from here on. What waits for it finds another head than it read.
SELECT p.partition_id, p.epoch FROM partitions p JOIN stream_heads h ON h.partition_id = p.partition_id
 WHERE h.organization_id = $1 FOR UPDATE OF p

-- forget_entries --
-- What stands in its channels.
DELETE FROM channel_entries WHERE organization_id = $1

-- forget_events --
-- Its events.
DELETE FROM events WHERE organization_id = $1

-- forget_keys --
-- What its writers would be answered again.
DELETE FROM idempotency_keys WHERE organization_id = $1

-- forget_floors --
-- What was removed from sight.
DELETE FROM channel_floors WHERE organization_id = $1

-- forget_versions --
-- What its publishers have counted.
DELETE FROM channel_versions WHERE organization_id = $1

-- forget_cursors --
-- How far its users were in its channels.
DELETE FROM channel_cursors WHERE organization_id = $1

-- forget_heads --
-- How far its channels have come.
DELETE FROM channel_heads WHERE organization_id = $1

-- begin_stream --
-- Its log begins anew, under another epoch.
UPDATE stream_heads SET epoch = $2, last_seq = 0, last_day = '-infinity' WHERE organization_id = $1

-- cut_owners --
-- Owners that lose their connection take their partitions from themselves, and read again what they remember.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE application_name = 'tidings-owner' AND datname = current_database()

-- is_read_again --
-- Whether somebody has taken a partition since its epoch was $2, or nobody holds it.
SELECT epoch > $2 OR lease_until < clock_timestamp() FROM partitions WHERE partition_id = $1
