-- installation --
-- What this database is; no row in a fresh one.
SELECT data_format, default_organization_id FROM installation

-- ensure_partition_rows --
-- The partitions of the log, made once: their number is fixed from then on.
INSERT INTO partitions (partition_id)
SELECT n FROM generate_series(0, $1::integer - 1) AS n
 WHERE NOT EXISTS (SELECT FROM partitions)

-- today --
-- The database's day: its clock decides, never a machine's.
SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date

-- one_maker_of_days --
-- Makers of days go one after the other; the lock goes with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('tidings.days.make', 0))

-- only_dropper_of_days --
-- One session drops days; the others get false.
SELECT pg_try_advisory_lock(hashtextextended('tidings.days.drop', 0))

-- day_tables --
-- The day partitions that exist, by parent table.
SELECT p.relname AS parent, c.relname AS name, substring(c.relname from '_(\d{8})$') AS day
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
 WHERE p.relname IN ('events', 'channel_entries', 'idempotency_keys') AND p.relnamespace = 'public'::regnamespace
   AND NOT i.inhdetachpending

-- make_day_table --
-- One day of one table: made aside and attached, since PARTITION OF would stop every reader and writer of the parent. The
-- names are made by the program from a closed list and a date. In a transaction.
CREATE TABLE {name} (LIKE {parent} INCLUDING ALL);
ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{last}')

-- detach_day_table --
-- Take a day out of its table without stopping anybody. Not inside a transaction.
ALTER TABLE {parent} DETACH PARTITION {name} CONCURRENTLY

-- finish_detach --
-- Complete a detach that a crash interrupted.
ALTER TABLE {parent} DETACH PARTITION {name} FINALIZE

-- pending_detaches --
-- Days whose detach was interrupted.
SELECT p.relname AS parent, c.relname AS name
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
 WHERE i.inhdetachpending

-- detached_day_tables --
-- Days that are in no table any more, because they were detached and not yet dropped.
SELECT c.relname AS name FROM pg_class c
 WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
   AND c.relname ~ '^(events|channel_entries|idempotency_keys)_\d{8}$'
   AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
 ORDER BY c.relname

-- drop_day_table --
-- Drop a day that was taken out.
DROP TABLE IF EXISTS {name}
