DROP TABLE token_revocations;
ALTER TABLE organizations DROP COLUMN token_keys_sealed;
