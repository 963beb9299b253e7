-- How far each user is in a channel.

CREATE TABLE channel_cursors (
  organization_id  uuid NOT NULL,
  channel          text NOT NULL,
  "user"           text COLLATE "C" NOT NULL,
  delivered_offset bigint NOT NULL,
  read_offset      bigint NOT NULL,
  epoch            text NOT NULL,                 -- of the stream that the offsets belong to
  updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (organization_id, channel, "user")
) WITH (fillfactor = 70);
CREATE INDEX channel_cursors_user ON channel_cursors (organization_id, "user", channel);

-- How many of a channel's publications lie behind an offset, of those that can still be read: offsets have no gaps, so only the
-- oldest one must be looked for, and only where there is anything to count.
CREATE FUNCTION unread(of_organization uuid, of_channel text, read_offset bigint, last_offset bigint, retention_days integer)
RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN read_offset >= last_offset THEN 0 ELSE last_offset - greatest(read_offset, coalesce((
  SELECT e."offset" - 1 FROM channel_entries e
   WHERE e.organization_id = of_organization AND e.channel = of_channel
     AND e.day >= (now() AT TIME ZONE 'UTC')::date - retention_days AND e.day <= (now() AT TIME ZONE 'UTC')::date + 1
   ORDER BY e."offset" LIMIT 1), last_offset)) END;
