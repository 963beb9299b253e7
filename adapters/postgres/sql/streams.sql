-- stream_head --
-- Where an organization's stream stands, and which partition writes it.
SELECT epoch, last_seq, partition_id FROM stream_heads WHERE organization_id = $1

-- routes --
-- Who owns each partition, and where its link listens.
SELECT partition_id, owner, address, epoch FROM partitions ORDER BY partition_id

-- orphans --
-- Partitions that somebody owns on paper alone. Those that were released are for whom placement tells.
SELECT partition_id FROM partitions WHERE owner IS NOT NULL AND lease_until < now()

-- events_after --
-- The log after $2 and up to the announced head $3, oldest first: at most $4 events and, but for the first, $5 bytes of them,
-- none older than $6 days. Days that lie ahead hold nothing, and are left out like those that are past. One event more than
-- is wanted is looked for: `found` is above the number of rows when the page was cut.
SELECT seq, id, type, created_at, data, envelope, found
  FROM (SELECT p.*, sum(octet_length(p.data) + octet_length(p.envelope)) OVER (ORDER BY p.seq) AS bytes,
               row_number() OVER (ORDER BY p.seq) AS place, count(*) OVER () AS found
          FROM (SELECT seq, id, type, created_at, data, envelope FROM events
                 WHERE organization_id = $1 AND seq > $2 AND seq <= $3
                   AND day >= (now() AT TIME ZONE 'UTC')::date - $6::integer AND day <= (now() AT TIME ZONE 'UTC')::date + 1
                 ORDER BY seq LIMIT $4::bigint + 1) AS p) AS q
 WHERE q.place <= $4::bigint AND q.bytes - octet_length(q.data) - octet_length(q.envelope) < $5
 ORDER BY seq

-- events_after_of_types --
-- The same of some types alone: exact names in $7, and prefixes (of `a.*`) in $8.
SELECT seq, id, type, created_at, data, envelope, found
  FROM (SELECT p.*, sum(octet_length(p.data) + octet_length(p.envelope)) OVER (ORDER BY p.seq) AS bytes,
               row_number() OVER (ORDER BY p.seq) AS place, count(*) OVER () AS found
          FROM (SELECT seq, id, type, created_at, data, envelope FROM events
                 WHERE organization_id = $1 AND seq > $2 AND seq <= $3
                   AND day >= (now() AT TIME ZONE 'UTC')::date - $6::integer AND day <= (now() AT TIME ZONE 'UTC')::date + 1
                   AND (type = ANY($7::text[]) OR type LIKE ANY($8::text[]))
                 ORDER BY seq LIMIT $4::bigint + 1) AS p) AS q
 WHERE q.place <= $4::bigint AND q.bytes - octet_length(q.data) - octet_length(q.envelope) < $5
 ORDER BY seq

-- event_by_id --
-- One event, whatever day it was written: what an owner settles an unknown outcome by.
SELECT seq, id, type, created_at, data, envelope FROM events WHERE organization_id = $1 AND id = $2 LIMIT 1

-- visible_event_by_id --
-- One event, unless it is older than $3 days.
SELECT seq, id, type, created_at, data, envelope FROM events
 WHERE organization_id = $1 AND id = $2
   AND day >= (now() AT TIME ZONE 'UTC')::date - $3::integer AND day <= (now() AT TIME ZONE 'UTC')::date + 1
 LIMIT 1

-- first_seq --
-- The oldest event that is not older than $2 days; none: no row.
SELECT seq FROM events
 WHERE organization_id = $1
   AND day >= (now() AT TIME ZONE 'UTC')::date - $2::integer AND day <= (now() AT TIME ZONE 'UTC')::date + 1
 ORDER BY seq LIMIT 1

-- partition_status --
-- For people: each partition with its owner, what is left of its lease, and how much it holds.
SELECT p.partition_id, p.owner, p.address, p.epoch, extract(epoch FROM p.lease_until - now())::float8 AS lease_left_s,
       count(h.organization_id) AS organizations, coalesce(sum(h.last_seq), 0)::bigint AS events
  FROM partitions p LEFT JOIN stream_heads h ON h.partition_id = p.partition_id
 GROUP BY p.partition_id ORDER BY p.partition_id

-- busiest_streams --
-- For people: the organizations with the longest logs.
SELECT organization_id, last_seq, partition_id FROM stream_heads ORDER BY last_seq DESC LIMIT $1

-- now --
-- The database's clock.
SELECT clock_timestamp()
