-- stream_head --
-- Where an organization's stream stands, and which partition writes it.
SELECT epoch, last_seq, partition_id FROM stream_heads WHERE organization_id = $1

-- routes --
-- Who owns each partition, and where its link listens.
SELECT partition_id, owner, address, epoch FROM partitions ORDER BY partition_id

-- events_after --
-- The log after $2 and up to the announced head $3, oldest first, without days older than $5.
SELECT seq, id, type, created_at, data, envelope FROM events
 WHERE organization_id = $1 AND seq > $2 AND seq <= $3 AND day >= $5 ORDER BY seq LIMIT $4

-- events_after_of_types --
-- The same of some types alone: exact names in $6, and prefixes (of `a.*`) in $7.
SELECT seq, id, type, created_at, data, envelope FROM events
 WHERE organization_id = $1 AND seq > $2 AND seq <= $3 AND day >= $5
   AND (type = ANY($6::text[]) OR type LIKE ANY($7::text[])) ORDER BY seq LIMIT $4

-- event_by_id --
-- One event, whatever day it was written.
SELECT seq, id, type, created_at, data, envelope FROM events WHERE organization_id = $1 AND id = $2 LIMIT 1

-- first_seq --
-- The oldest event that is not older than $2; none: null.
SELECT min(seq) FROM events WHERE organization_id = $1 AND day >= $2
