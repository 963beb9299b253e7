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

-- day_tables --
-- The day partitions that exist, by parent table.
SELECT p.relname AS parent, c.relname AS name, substring(c.relname from '_(\d{8})$') AS day
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
 WHERE p.relname IN ('events', 'channel_entries', 'idempotency_keys') AND p.relnamespace = 'public'::regnamespace

-- make_day_table --
-- One day of one table. The names are made by the program from a closed list and a date.
CREATE TABLE IF NOT EXISTS {name} PARTITION OF {parent} FOR VALUES FROM ('{first}') TO ('{last}')

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

-- drop_day_table --
-- Drop a day that was taken out.
DROP TABLE IF EXISTS {name}
