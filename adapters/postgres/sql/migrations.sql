-- revision --
-- Where the schema stands; the table is missing in a fresh database.
SELECT version_num FROM alembic_version
