-- Organizations say what the channels of a namespace may do, and what they demand of connections.

CREATE TABLE channel_namespaces (
  organization_id uuid NOT NULL REFERENCES organizations,
  name            text COLLATE "C" NOT NULL,      -- '_' for the channels without namespace
  options         jsonb NOT NULL,                 -- core/channels/namespace.py
  version         bigint NOT NULL DEFAULT 1,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (organization_id, name)
);

ALTER TABLE organizations ADD COLUMN channel_options jsonb NOT NULL DEFAULT '{}';
