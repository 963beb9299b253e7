-- Organizations have backends that judge what their clients do.

ALTER TABLE organizations ADD COLUMN backend_sealed bytea;  -- core/connections/backend_options.py; null: none is asked
