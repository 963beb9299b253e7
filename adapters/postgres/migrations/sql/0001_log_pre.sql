-- The log, its heads and fences, the resources, and who may use them.
-- Ids are UUIDs (version 7); times are timestamptz; `day` is the UTC day in which a row was written and names its partition.

CREATE TABLE installation (                       -- one row: what this database is
  only_row                boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  data_format             integer NOT NULL,
  default_organization_id uuid,
  created_at              timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO installation (data_format) VALUES (1);

CREATE TABLE organizations (
  organization_id     uuid PRIMARY KEY,
  name                text NOT NULL,
  environment         text NOT NULL DEFAULT 'live' CHECK (environment IN ('live', 'test')),
  status              text NOT NULL DEFAULT 'active',
  client_publish      boolean NOT NULL DEFAULT false,
  anonymous           boolean NOT NULL DEFAULT false,
  client_insecure     boolean NOT NULL DEFAULT false,
  unknown_namespaces  text NOT NULL DEFAULT 'allow' CHECK (unknown_namespaces IN ('allow', 'refuse')),
  token_secret_sealed bytea NOT NULL,
  version             bigint NOT NULL DEFAULT 1,
  created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at          timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE api_keys (
  organization_id uuid NOT NULL REFERENCES organizations,
  api_key_id      uuid NOT NULL,
  digest          bytea NOT NULL UNIQUE,          -- SHA-256 of the whole key
  name            text NOT NULL,
  first           text NOT NULL,                  -- first 12 and last 4 characters, to recognise it by
  last            text NOT NULL,
  scopes          text[] NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at      timestamptz,
  revoked_at      timestamptz,
  last_used_at    timestamptz,
  PRIMARY KEY (organization_id, api_key_id)
);

CREATE TABLE partitions (                         -- never deleted; the one table without an organization
  partition_id integer PRIMARY KEY,
  owner        text,                              -- name of the actor
  address      text,                              -- host:port of its link
  epoch        bigint NOT NULL DEFAULT 0,         -- the fence: moves with every owner
  lease_until  timestamptz NOT NULL DEFAULT '-infinity'
);

CREATE TABLE stream_heads (
  organization_id uuid PRIMARY KEY REFERENCES organizations,
  partition_id    integer NOT NULL REFERENCES partitions,
  epoch           text NOT NULL,                  -- of the stream, seen by clients; moves only when continuity is lost
  last_seq        bigint NOT NULL DEFAULT 0,
  last_day        date NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);
CREATE INDEX stream_heads_partition ON stream_heads (partition_id);

CREATE TABLE channel_heads (
  organization_id uuid NOT NULL,
  channel         text NOT NULL,
  last_offset     bigint NOT NULL,
  PRIMARY KEY (organization_id, channel)
) WITH (fillfactor = 50);

CREATE TABLE events (
  organization_id uuid NOT NULL,
  seq             bigint NOT NULL,
  day             date NOT NULL,
  partition_epoch bigint NOT NULL,
  id              uuid NOT NULL,
  type            text NOT NULL,
  data            bytea NOT NULL,                 -- exact bytes: a publication's payload, or a resource event's `data`
  envelope        bytea NOT NULL,                 -- msgpack: entries, info, tags, actor, trace, subject
  created_at      timestamptz NOT NULL,
  PRIMARY KEY (organization_id, seq, day)
) PARTITION BY RANGE (day);
CREATE INDEX events_id ON events (organization_id, id);

CREATE TABLE channel_entries (
  organization_id uuid NOT NULL,
  channel         text NOT NULL,
  "offset"        bigint NOT NULL,
  seq             bigint NOT NULL,
  day             date NOT NULL,
  PRIMARY KEY (organization_id, channel, "offset", day)
) PARTITION BY RANGE (day);

CREATE TABLE idempotency_keys (
  organization_id uuid NOT NULL,
  key             text NOT NULL,
  day             date NOT NULL,
  fingerprint     bytea NOT NULL,
  answer          bytea NOT NULL,                 -- msgpack of core.streams.outcome
  PRIMARY KEY (organization_id, key, day)
) PARTITION BY RANGE (day);

CREATE TABLE resources (
  organization_id uuid NOT NULL,
  type            text NOT NULL,
  id              uuid NOT NULL,
  external_id     text,
  data            jsonb NOT NULL,                 -- the type's own fields and `metadata`
  version         bigint NOT NULL,
  created_at      timestamptz NOT NULL,
  updated_at      timestamptz NOT NULL,
  PRIMARY KEY (organization_id, type, id)
);
CREATE UNIQUE INDEX resources_external_id ON resources (organization_id, type, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX resources_created ON resources (organization_id, type, created_at, id);
CREATE INDEX resources_updated ON resources (organization_id, type, updated_at, id);

CREATE FUNCTION log_conflict(what text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS
$$ BEGIN RAISE EXCEPTION 'the log moved under its owner: %', what USING ERRCODE = 'TD001'; END $$;

-- What a resource's field is filtered and sorted by: strings cut to what an index entry can hold, numbers, booleans; all else
-- counts as null. One value is compared with another as jsonb does it: null < string < number < boolean.
CREATE FUNCTION index_key(data jsonb, field text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE jsonb_typeof(data -> field)
       WHEN 'string' THEN to_jsonb(left(data ->> field, 500))
       WHEN 'number' THEN data -> field
       WHEN 'boolean' THEN data -> field
       ELSE 'null'::jsonb END;
