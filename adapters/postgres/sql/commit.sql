-- take_partition --
-- Take a free partition, or one's own after a restart. Its commit is the barrier of the first announced head.
UPDATE partitions SET owner = $2, address = $3, epoch = epoch + 1, lease_until = clock_timestamp() + $4
 WHERE partition_id = $1 AND (lease_until < clock_timestamp() OR owner = $2)
RETURNING epoch, clock_timestamp() AS database_now

-- force_partition --
-- Take a partition from a dead owner before its lease ends, or from oneself after an unknown commit. $5: the epoch seen. The
-- next epoch counts as well where it is the caller's own: the answer to an earlier try was lost. Nobody else has his
-- address, if he has one.
UPDATE partitions SET owner = $2, address = $3, epoch = epoch + 1, lease_until = clock_timestamp() + $4
 WHERE partition_id = $1 AND (epoch = $5 OR (epoch > $5 AND owner = $2 AND address = $3 AND address <> ''))
RETURNING epoch, clock_timestamp() AS database_now

-- renew_partition --
-- Prolong the lease. No row: fenced.
UPDATE partitions SET lease_until = clock_timestamp() + $3
 WHERE partition_id = $1 AND epoch = $2
RETURNING clock_timestamp() AS database_now

-- own_partition --
-- Whether a partition is still under this epoch. No row: fenced.
SELECT epoch FROM partitions WHERE partition_id = $1 AND epoch = $2

-- release_partition --
-- Give a partition up after the last batch. The epoch moves too, so that nothing late is written under it.
UPDATE partitions SET owner = NULL, address = NULL, epoch = epoch + 1, lease_until = '-infinity'
 WHERE partition_id = $1 AND epoch = $2

-- heads_of_partition --
-- All streams of a partition, each with the time of its newest event, read in a later statement than its take-over.
SELECT h.organization_id, h.epoch, h.last_seq, h.last_day, e.created_at AS last_created_at
  FROM stream_heads h
  LEFT JOIN events e ON e.organization_id = h.organization_id AND e.seq = h.last_seq AND e.day = h.last_day
 WHERE h.partition_id = $1

-- read --
-- What the decisions of one batch need, in one round trip. $1 partition; $2 organizations; $3, $4 channels; $5, $6 keys;
-- $7–$9 resources by id; $10–$12 resources by external id; $13, $14 channels whose versions are counted.
SELECT 'stream' AS kind, h.organization_id, h.epoch AS a, NULL::text AS b, NULL::uuid AS id, h.last_seq AS n,
       NULL::bytea AS x, NULL::bytea AS y, e.created_at AS t, NULL::timestamptz AS u, h.last_day AS d, NULL::text AS c
  FROM stream_heads h
  LEFT JOIN events e ON e.organization_id = h.organization_id AND e.seq = h.last_seq AND e.day = h.last_day
 WHERE h.organization_id = ANY($2::uuid[]) AND h.partition_id = $1
UNION ALL
SELECT 'channel', c.organization_id, c.channel, NULL, NULL, c.last_offset, NULL, NULL, NULL, NULL, NULL, NULL
  FROM unnest($3::uuid[], $4::text[]) AS w (organization_id, channel)
  JOIN channel_heads c ON c.organization_id = w.organization_id AND c.channel = w.channel
UNION ALL
SELECT 'key', k.organization_id, k.key, NULL, NULL, NULL, k.fingerprint, k.answer, NULL, NULL, NULL, NULL
  FROM unnest($5::uuid[], $6::text[]) AS w (organization_id, key)
  JOIN idempotency_keys k ON k.organization_id = w.organization_id AND k.key = w.key
UNION ALL
SELECT 'resource', r.organization_id, r.type, r.external_id, r.id, r.version, convert_to(r.data::text, 'UTF8'), NULL,
       r.created_at, r.updated_at, NULL, NULL
  FROM unnest($7::uuid[], $8::text[], $9::uuid[]) AS w (organization_id, type, id)
  JOIN resources r ON r.organization_id = w.organization_id AND r.type = w.type AND r.id = w.id
UNION ALL
SELECT 'external', r.organization_id, r.type, r.external_id, r.id, r.version, convert_to(r.data::text, 'UTF8'), NULL,
       r.created_at, r.updated_at, NULL, NULL
  FROM unnest($10::uuid[], $11::text[], $12::text[]) AS w (organization_id, type, external_id)
  JOIN resources r ON r.organization_id = w.organization_id AND r.type = w.type AND r.external_id = w.external_id
UNION ALL
SELECT 'version', c.organization_id, c.channel, c.version_epoch, NULL, c.version, NULL, NULL, NULL, NULL, NULL, NULL
  FROM unnest($13::uuid[], $14::text[]) AS w (organization_id, channel)
  JOIN channel_versions c ON c.organization_id = w.organization_id AND c.channel = w.channel

-- read_referrers --
-- One more branch of `read`, for one reference field of one type: both stand in the text, since only so the field's index
-- serves it. The rows that refer to the public ids given, at most {limit} for each.
UNION ALL
SELECT 'referrer', r.organization_id, r.type, r.external_id, r.id, r.version, convert_to(r.data::text, 'UTF8'), NULL,
       r.created_at, r.updated_at, NULL, {field} || ' ' || w.refers_to
  FROM unnest(${organizations}::uuid[], ${refers_to}::text[]) AS w (organization_id, refers_to)
 CROSS JOIN LATERAL (
       SELECT * FROM resources q
        WHERE q.organization_id = w.organization_id AND q.type = {type}
          AND index_key(q.data, {field}) = to_jsonb(w.refers_to)
        LIMIT {limit}) AS r

-- append --
-- One batch, in one statement that proves the partition's epoch ($2) in its own transaction: no row, no effect. A head that
-- is not where the owner believes it raises TD001. $3–$6 stream heads; $7–$9 channel heads; $10–$17 events; $18–$22 entries;
-- $23–$27 keys; $28–$35 resources; $36–$38 deletions; $39–$42 versions.
WITH own AS MATERIALIZED (
  SELECT epoch FROM partitions WHERE partition_id = $1 AND epoch = $2 FOR SHARE
), heads AS (
  UPDATE stream_heads AS h SET last_seq = n.last_seq, last_day = n.day
    FROM own, unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::date[]) AS n (organization_id, read_seq, last_seq, day)
   WHERE h.organization_id = n.organization_id AND h.partition_id = $1 AND h.last_seq = n.read_seq
  RETURNING 1
), channels AS (
  INSERT INTO channel_heads AS c (organization_id, channel, last_offset)
  SELECT n.* FROM own, unnest($7::uuid[], $8::text[], $9::bigint[]) AS n (organization_id, channel, last_offset)
  ON CONFLICT (organization_id, channel) DO UPDATE SET last_offset = excluded.last_offset WHERE c.last_offset < excluded.last_offset
  RETURNING 1
), log AS (
  INSERT INTO events (organization_id, seq, day, partition_epoch, id, type, data, envelope, created_at)
  SELECT e.organization_id, e.seq, e.day, $2, e.id, e.type, e.data, e.envelope, e.created_at
    FROM own, unnest($10::uuid[], $11::bigint[], $12::date[], $13::uuid[], $14::text[], $15::bytea[], $16::bytea[],
                     $17::timestamptz[])
           AS e (organization_id, seq, day, id, type, data, envelope, created_at)
), entries AS (
  INSERT INTO channel_entries (organization_id, channel, "offset", seq, day)
  SELECT n.* FROM own, unnest($18::uuid[], $19::text[], $20::bigint[], $21::bigint[], $22::date[]) AS n
), keys AS (
  INSERT INTO idempotency_keys (organization_id, key, day, fingerprint, answer)
  SELECT n.* FROM own, unnest($23::uuid[], $24::text[], $25::date[], $26::bytea[], $27::bytea[]) AS n
), versions AS (
  INSERT INTO channel_versions (organization_id, channel, version, version_epoch)
  SELECT n.* FROM own, unnest($39::uuid[], $40::text[], $41::bigint[], $42::text[]) AS n
  ON CONFLICT (organization_id, channel) DO UPDATE SET version = excluded.version, version_epoch = excluded.version_epoch
), gone AS (
  DELETE FROM resources AS r USING own, unnest($36::uuid[], $37::text[], $38::uuid[]) AS n (organization_id, type, id)
   WHERE r.organization_id = n.organization_id AND r.type = n.type AND r.id = n.id
  RETURNING 1
), changed AS (
  INSERT INTO resources AS r (organization_id, type, id, external_id, data, version, created_at, updated_at)
  SELECT n.organization_id, n.type, n.id, n.external_id, n.data::jsonb, n.version, n.created_at, n.updated_at
    FROM own, unnest($28::uuid[], $29::text[], $30::uuid[], $31::text[], $32::text[], $33::bigint[], $34::timestamptz[],
                     $35::timestamptz[])
           AS n (organization_id, type, id, external_id, data, version, created_at, updated_at)
   WHERE (SELECT count(*) FROM gone) >= 0            -- first the deletions: an external id may pass to a new resource
  ON CONFLICT (organization_id, type, id) DO UPDATE
     SET external_id = excluded.external_id, data = excluded.data, version = excluded.version, updated_at = excluded.updated_at
)
SELECT count(*) AS owned FROM own
 WHERE CASE WHEN (SELECT count(*) FROM heads) <> cardinality($3) THEN log_conflict('stream head')
            WHEN (SELECT count(*) FROM channels) <> cardinality($7) THEN log_conflict('channel head') ELSE true END
