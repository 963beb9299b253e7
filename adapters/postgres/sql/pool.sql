-- ping --
-- Does it answer?
SELECT 1

-- server --
-- Which server this is: another one after a restart, and after a failover.
SELECT pg_postmaster_start_time()

-- barrier --
-- A commit that writes: once it is acknowledged, all that was visible before it is durable.
SELECT pg_logical_emit_message(true, 'tidings', '')
