-- Organizations bring the keys of their tokens along, and take tokens back.

ALTER TABLE organizations ADD COLUMN token_keys_sealed bytea;  -- core/auth/token_keys.py; null: the own secret alone

CREATE TABLE token_revocations (                  -- core/auth/revocation.py
  organization_id uuid NOT NULL REFERENCES organizations,
  user_id         text COLLATE "C" NOT NULL,
  token_id        text COLLATE "C" NOT NULL,      -- '' for all tokens of the user
  before          timestamptz NOT NULL,           -- those issued until then
  expires_at      timestamptz NOT NULL,           -- no such token is valid any more
  PRIMARY KEY (organization_id, user_id, token_id)
);

CREATE INDEX token_revocations_expires_at ON token_revocations (expires_at);
