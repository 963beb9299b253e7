-- What whoever moves here from another system brings along, and what its server API needs.

CREATE TABLE channel_floors (                     -- channels whose history was removed
  organization_id uuid NOT NULL,
  channel         text NOT NULL,
  removed_offset  bigint NOT NULL,                -- what stands at or below it is out of sight
  PRIMARY KEY (organization_id, channel)
);

CREATE TABLE channel_versions (                   -- of channels whose publishers count versions of what they publish
  organization_id uuid NOT NULL,
  channel         text NOT NULL,
  version         bigint NOT NULL,                -- the newest that was published
  version_epoch   text NOT NULL,                  -- what it was counted in
  PRIMARY KEY (organization_id, channel)
) WITH (fillfactor = 50);

CREATE TABLE server_apis (                        -- who may use /api, and how it says no
  organization_id  uuid PRIMARY KEY REFERENCES organizations,
  is_open          boolean NOT NULL DEFAULT false, -- without a key, where it is the default organization
  errors_by_status boolean NOT NULL DEFAULT false
);

CREATE TABLE server_api_keys (                    -- keys of other systems, which open /api alone
  mark            bytea PRIMARY KEY,              -- HMAC of the key: it may be short
  organization_id uuid NOT NULL REFERENCES organizations,
  api_key_id      uuid NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX server_api_keys_organization ON server_api_keys (organization_id);
