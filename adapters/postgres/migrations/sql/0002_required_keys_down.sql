ALTER TABLE organizations DROP COLUMN require_idempotency_key;
