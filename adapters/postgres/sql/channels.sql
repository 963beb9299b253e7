-- channel_heads --
-- Where channels stand: $1 organizations, $2 channels, $3 the announced head of each; entries above it do not count, and
-- those older than $5 days are not seen. `last_offset` is that of the newest entry that counts; without one it is the offset
-- before the oldest entry there is, and without any entry that of the channel. `first_offset` is null when nothing is seen.
-- What was removed, and the age of the newest entry, are looked up only where $4 says so.
SELECT w.organization_id, w.channel, w.up_to_seq, w.with_age,
       coalesce(newest."offset", oldest."offset" - 1, h.last_offset) AS last_offset,
       CASE WHEN newest."offset" IS NOT NULL THEN oldest."offset" END AS first_offset,
       coalesce(f.removed_offset, 0) AS removed_offset,
       extract(epoch FROM now() - v.created_at)::float8 AS age_s
  FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::boolean[]) AS w (organization_id, channel, up_to_seq, with_age)
  JOIN channel_heads h ON h.organization_id = w.organization_id AND h.channel = w.channel
  LEFT JOIN LATERAL (
       SELECT e."offset", e.seq, e.day FROM channel_entries e
        WHERE e.organization_id = w.organization_id AND e.channel = w.channel AND e.seq <= w.up_to_seq
          AND e.day >= (now() AT TIME ZONE 'UTC')::date - $5::integer AND e.day <= (now() AT TIME ZONE 'UTC')::date + 1
        ORDER BY e."offset" DESC LIMIT 1) AS newest ON true
  LEFT JOIN LATERAL (
       SELECT e."offset" FROM channel_entries e
        WHERE e.organization_id = w.organization_id AND e.channel = w.channel
          AND e.day >= (now() AT TIME ZONE 'UTC')::date - $5::integer AND e.day <= (now() AT TIME ZONE 'UTC')::date + 1
        ORDER BY e."offset" LIMIT 1) AS oldest ON true
  LEFT JOIN channel_floors f ON w.with_age AND f.organization_id = w.organization_id AND f.channel = w.channel
  LEFT JOIN events v ON w.with_age AND v.organization_id = w.organization_id AND v.seq = newest.seq AND v.day = newest.day

-- raise_floor --
-- Take a channel's publications up to offset $3 out of sight. What stands higher already stays.
INSERT INTO channel_floors AS f (organization_id, channel, removed_offset) VALUES ($1, $2, $3)
ON CONFLICT (organization_id, channel) DO UPDATE SET removed_offset = excluded.removed_offset
 WHERE f.removed_offset < excluded.removed_offset

-- publications_after --
-- A channel's entries after offset $3, none above the announced head $4, oldest first: at most $5 and, but for the first, $6
-- bytes of them, none older than $7 days. One entry more than is wanted is looked for: `found` is above the number of rows
-- when the page was cut.
SELECT seq, id, type, created_at, data, envelope, found
  FROM (SELECT v.seq, v.id, v.type, v.created_at, v.data, v.envelope, p."offset",
               sum(octet_length(v.data) + octet_length(v.envelope)) OVER (ORDER BY p."offset") AS bytes,
               row_number() OVER (ORDER BY p."offset") AS place, count(*) OVER () AS found
          FROM (SELECT e."offset", e.seq, e.day FROM channel_entries e
                 WHERE e.organization_id = $1 AND e.channel = $2 AND e."offset" > $3 AND e.seq <= $4
                   AND e.day >= (now() AT TIME ZONE 'UTC')::date - $7::integer AND e.day <= (now() AT TIME ZONE 'UTC')::date + 1
                 ORDER BY e."offset" LIMIT $5::bigint + 1) AS p
          JOIN events v ON v.organization_id = $1 AND v.seq = p.seq AND v.day = p.day) AS q
 WHERE q.place <= $5::bigint AND q.bytes - octet_length(q.data) - octet_length(q.envelope) < $6
 ORDER BY q."offset"

-- publications_before --
-- The same before offset $3, newest first.
SELECT seq, id, type, created_at, data, envelope, found
  FROM (SELECT v.seq, v.id, v.type, v.created_at, v.data, v.envelope, p."offset",
               sum(octet_length(v.data) + octet_length(v.envelope)) OVER (ORDER BY p."offset" DESC) AS bytes,
               row_number() OVER (ORDER BY p."offset" DESC) AS place, count(*) OVER () AS found
          FROM (SELECT e."offset", e.seq, e.day FROM channel_entries e
                 WHERE e.organization_id = $1 AND e.channel = $2 AND e."offset" < $3 AND e.seq <= $4
                   AND e.day >= (now() AT TIME ZONE 'UTC')::date - $7::integer AND e.day <= (now() AT TIME ZONE 'UTC')::date + 1
                 ORDER BY e."offset" DESC LIMIT $5::bigint + 1) AS p
          JOIN events v ON v.organization_id = $1 AND v.seq = p.seq AND v.day = p.day) AS q
 WHERE q.place <= $5::bigint AND q.bytes - octet_length(q.data) - octet_length(q.envelope) < $6
 ORDER BY q."offset" DESC
