-- Organizations may insist that every write brings an idempotency key.
ALTER TABLE organizations ADD COLUMN require_idempotency_key boolean NOT NULL DEFAULT false;
