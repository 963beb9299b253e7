-- revision --
-- Where the schema stands; the table is missing in a fresh database.
SELECT version_num FROM alembic_version

-- one_migration --
-- Migrations go one after the other; the lock goes with the session.
SELECT pg_advisory_lock(hashtextextended('tidings.migrate', 0))
