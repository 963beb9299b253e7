ALTER TABLE organizations DROP COLUMN backend_sealed;
