-- channel_heads --
-- Of several channels: last offset, how many entries stand above the announced head $3, and the oldest visible offset.
SELECT w.channel, h.last_offset,
       (SELECT count(*) FROM channel_entries e
         WHERE e.organization_id = $1 AND e.channel = w.channel AND e."offset" > h.last_offset - 10000 AND e.day >= $4
           AND e.seq > $3) AS above,
       (SELECT e."offset" FROM channel_entries e
         WHERE e.organization_id = $1 AND e.channel = w.channel AND e.day >= $4 ORDER BY e."offset" LIMIT 1) AS first_offset
  FROM unnest($2::text[]) AS w (channel)
  JOIN channel_heads h ON h.organization_id = $1 AND h.channel = w.channel

-- publications_after --
-- A channel's entries after offset $3, none above the announced head $4, oldest first, without days older than $6.
SELECT v.seq, v.id, v.type, v.created_at, v.data, v.envelope
  FROM (SELECT e."offset", e.seq, e.day FROM channel_entries e
         WHERE e.organization_id = $1 AND e.channel = $2 AND e."offset" > $3 AND e.seq <= $4 AND e.day >= $6
         ORDER BY e."offset" LIMIT $5) AS p
  JOIN events v ON v.organization_id = $1 AND v.seq = p.seq AND v.day = p.day
 ORDER BY p."offset"

-- publications_before --
-- A channel's entries before offset $3, newest first, none above the announced head $4.
SELECT v.seq, v.id, v.type, v.created_at, v.data, v.envelope
  FROM (SELECT e."offset", e.seq, e.day FROM channel_entries e
         WHERE e.organization_id = $1 AND e.channel = $2 AND e."offset" < $3 AND e.seq <= $4 AND e.day >= $6
         ORDER BY e."offset" DESC LIMIT $5) AS p
  JOIN events v ON v.organization_id = $1 AND v.seq = p.seq AND v.day = p.day
 ORDER BY p."offset" DESC
