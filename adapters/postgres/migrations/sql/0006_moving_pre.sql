-- What whoever moves here from another system brings along, and what its server API needs.

CREATE TABLE channel_floors (                     -- channels whose history was removed
  organization_id uuid NOT NULL,
  channel         text NOT NULL,
  removed_offset  bigint NOT NULL,                -- what stands at or below it is out of sight
  PRIMARY KEY (organization_id, channel)
);
