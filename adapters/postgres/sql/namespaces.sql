-- lock_organization --
-- One at a time changes the rules of an organization; nobody who only reads them or writes to its log waits.
SELECT organization_id FROM organizations WHERE organization_id = $1 FOR NO KEY UPDATE

-- namespace --
-- One namespace.
SELECT name, options, version, created_at, updated_at FROM channel_namespaces WHERE organization_id = $1 AND name = $2

-- namespaces_after --
-- An organization's namespaces behind a name, in the order of their bytes.
SELECT name, options, version, created_at, updated_at FROM channel_namespaces
 WHERE organization_id = $1 AND name > $2 ORDER BY name LIMIT $3

-- neighbours --
-- How many an organization has, and the expressions of those beside one.
SELECT count(*) AS count,
       coalesce(array_agg(options->>'channel_regex') FILTER (WHERE name <> $2 AND options->>'channel_regex' <> ''), '{}') AS regexes
  FROM channel_namespaces WHERE organization_id = $1

-- put_namespace --
-- Its options from now on; the version counts the changes.
INSERT INTO channel_namespaces (organization_id, name, options) VALUES ($1, $2, $3)
ON CONFLICT (organization_id, name) DO UPDATE
   SET options = excluded.options, version = channel_namespaces.version + 1, updated_at = clock_timestamp()
RETURNING name, options, version, created_at, updated_at

-- delete_namespace --
-- Its channels follow the rules of those that are not configured.
DELETE FROM channel_namespaces WHERE organization_id = $1 AND name = $2

-- organization_options --
-- What an organization has chosen for itself.
SELECT name, environment, status, client_publish, anonymous, client_insecure, unknown_namespaces, require_idempotency_key,
       channel_options, version, created_at, updated_at
  FROM organizations WHERE organization_id = $1

-- set_organization_options --
-- All of it at once.
UPDATE organizations
   SET name = $2, client_publish = $3, anonymous = $4, client_insecure = $5, unknown_namespaces = $6,
       require_idempotency_key = $7, channel_options = $8, version = version + 1, updated_at = clock_timestamp()
 WHERE organization_id = $1
RETURNING name, environment, status, client_publish, anonymous, client_insecure, unknown_namespaces, require_idempotency_key,
          channel_options, version, created_at, updated_at
