-- acknowledge --
-- Move cursors: the organization, channel and user of each, and the offsets delivered and read; $6 is the retention in days. They
-- never go back but with the stream's epoch. What names an offset that its channel does not have yet is told, and moves nothing.
WITH asked AS (
  SELECT a.organization_id, a.channel, a."user", greatest(a.delivered, a.read) AS delivered, a.read, a.place,
         s.epoch, coalesce(h.last_offset, 0) AS last_offset
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) WITH ORDINALITY
         AS a (organization_id, channel, "user", delivered, read, place)
    JOIN stream_heads s ON s.organization_id = a.organization_id
    LEFT JOIN channel_heads h ON h.organization_id = a.organization_id AND h.channel = a.channel
), moved AS (
  INSERT INTO channel_cursors AS c (organization_id, channel, "user", delivered_offset, read_offset, epoch)
  SELECT organization_id, channel, "user", max(delivered), max(read), epoch
    FROM asked WHERE delivered <= last_offset
   GROUP BY organization_id, channel, "user", epoch
   ORDER BY organization_id, channel, "user"      -- as every process does it, so that none waits for one that waits for it
  ON CONFLICT (organization_id, channel, "user") DO UPDATE
     SET delivered_offset = CASE WHEN c.epoch = excluded.epoch THEN greatest(c.delivered_offset, excluded.delivered_offset)
                                 ELSE excluded.delivered_offset END,
         read_offset = CASE WHEN c.epoch = excluded.epoch THEN greatest(c.read_offset, excluded.read_offset)
                            ELSE excluded.read_offset END,
         epoch = excluded.epoch,
         updated_at = CASE WHEN c.epoch = excluded.epoch AND c.delivered_offset >= excluded.delivered_offset
                            AND c.read_offset >= excluded.read_offset THEN c.updated_at ELSE excluded.updated_at END
  RETURNING organization_id, channel, "user", delivered_offset, read_offset, updated_at
)
SELECT a.place, a.delivered <= a.last_offset AS exists, m.delivered_offset, m.read_offset, m.updated_at,
       unread(a.organization_id, a.channel, m.read_offset, a.last_offset, $6) AS unread
  FROM asked a LEFT JOIN moved m ON m.organization_id = a.organization_id AND m.channel = a.channel AND m."user" = a."user"

-- cursors --
-- How far users $3 are in channels $2 of organizations $1, a row for each; $4 is the retention in days. Who has acknowledged
-- nothing, or nothing since the stream's epoch changed, stands at 0.
SELECT a.organization_id, a.channel, a."user", coalesce(c.delivered_offset, 0) AS delivered_offset,
       coalesce(c.read_offset, 0) AS read_offset, c.updated_at,
       unread(a.organization_id, a.channel, coalesce(c.read_offset, 0), coalesce(h.last_offset, 0), $4) AS unread
  FROM unnest($1::uuid[], $2::text[], $3::text[]) AS a (organization_id, channel, "user")
  JOIN stream_heads s ON s.organization_id = a.organization_id
  LEFT JOIN channel_heads h ON h.organization_id = a.organization_id AND h.channel = a.channel
  LEFT JOIN channel_cursors c ON c.organization_id = a.organization_id AND c.channel = a.channel AND c."user" = a."user"
       AND c.epoch = s.epoch

-- cursors_of_channel --
-- Those who have acknowledged anything in channel $2, behind the user $3, in the order of the users' bytes.
SELECT c.channel, c."user", c.delivered_offset, c.read_offset, c.updated_at,
       unread(c.organization_id, c.channel, c.read_offset, coalesce(h.last_offset, 0), $5) AS unread
  FROM channel_cursors c
  JOIN stream_heads s ON s.organization_id = c.organization_id AND s.epoch = c.epoch
  LEFT JOIN channel_heads h ON h.organization_id = c.organization_id AND h.channel = c.channel
 WHERE c.organization_id = $1 AND c.channel = $2 AND c."user" > $3
 ORDER BY c."user" LIMIT $4

-- cursors_of_user --
-- The channels in which user $2 has acknowledged anything, behind the channel $3, by name.
SELECT c.channel, c."user", c.delivered_offset, c.read_offset, c.updated_at,
       unread(c.organization_id, c.channel, c.read_offset, coalesce(h.last_offset, 0), $5) AS unread
  FROM channel_cursors c
  JOIN stream_heads s ON s.organization_id = c.organization_id AND s.epoch = c.epoch
  LEFT JOIN channel_heads h ON h.organization_id = c.organization_id AND h.channel = c.channel
 WHERE c.organization_id = $1 AND c."user" = $2 AND c.channel > $3
 ORDER BY c.channel LIMIT $4

-- sweep --
-- Of the $4 cursors behind the one named, delete those of channels in which nothing can be read any more, and those of another
-- epoch: they count like none. Who acknowledged within $5 days is left alone. The last of the $4 is told, to go on from.
WITH page AS (
  SELECT c.organization_id, c.channel, c."user", c.epoch FROM channel_cursors c
   WHERE (c.organization_id, c.channel, c."user") > ($1::uuid, $2::text, $3::text)
   ORDER BY c.organization_id, c.channel, c."user" LIMIT $4
), gone AS (
  SELECT p.organization_id, p.channel, p.epoch
    FROM (SELECT DISTINCT organization_id, channel, epoch FROM page) AS p
    JOIN stream_heads s ON s.organization_id = p.organization_id
   WHERE s.epoch <> p.epoch OR NOT EXISTS (
         SELECT FROM channel_entries e
          WHERE e.organization_id = p.organization_id AND e.channel = p.channel
            AND e.day >= (now() AT TIME ZONE 'UTC')::date - $5::integer AND e.day <= (now() AT TIME ZONE 'UTC')::date + 1)
), swept AS (
  DELETE FROM channel_cursors c USING page p JOIN gone g USING (organization_id, channel, epoch)
   WHERE c.organization_id = p.organization_id AND c.channel = p.channel AND c."user" = p."user" AND c.epoch = p.epoch
     AND c.updated_at < now() - make_interval(days => $5::integer)
)
SELECT organization_id, channel, "user" FROM page ORDER BY organization_id DESC, channel DESC, "user" DESC LIMIT 1
