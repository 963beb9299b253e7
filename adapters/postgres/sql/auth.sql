-- key_by_digest --
-- The key with this digest, revoked or not; its organization comes from the row.
SELECT organization_id, api_key_id, name, scopes, expires_at, revoked_at FROM api_keys WHERE digest = $1

-- organization --
-- One organization, its options and all its namespaces.
SELECT organization_id, name, environment, status, client_publish, anonymous, client_insecure, unknown_namespaces,
       require_idempotency_key, token_secret_sealed, token_keys_sealed, channel_options,
       (SELECT coalesce(json_object_agg(n.name, n.options), '{}') FROM channel_namespaces n
         WHERE n.organization_id = o.organization_id) AS namespaces
  FROM organizations o WHERE organization_id = $1

-- organizations --
-- All of them, for the operator.
SELECT organization_id, name, environment, status, client_publish, anonymous, client_insecure, unknown_namespaces,
       require_idempotency_key, token_secret_sealed, token_keys_sealed, channel_options,
       (SELECT coalesce(json_object_agg(n.name, n.options), '{}') FROM channel_namespaces n
         WHERE n.organization_id = o.organization_id) AS namespaces
  FROM organizations o ORDER BY created_at, organization_id LIMIT $1

-- active_key --
-- A key that nobody has revoked.
SELECT api_key_id FROM api_keys WHERE organization_id = $1 AND api_key_id = $2 AND revoked_at IS NULL

-- insert_organization --
-- A new tenant.
INSERT INTO organizations (organization_id, name, environment, token_secret_sealed) VALUES ($1, $2, $3, $4)

-- insert_stream --
-- Its empty stream, in the partition that has the fewest.
INSERT INTO stream_heads (organization_id, partition_id, epoch)
SELECT $1, p.partition_id, $2
  FROM partitions p LEFT JOIN stream_heads h ON h.partition_id = p.partition_id
 GROUP BY p.partition_id ORDER BY count(h.organization_id), p.partition_id LIMIT 1

-- default_organization --
-- Whose connections those without credentials are.
SELECT default_organization_id FROM installation

-- set_default_organization --
-- The first organization becomes it.
UPDATE installation SET default_organization_id = $1 WHERE default_organization_id IS NULL OR $2

-- set_options --
-- Change what is given; null keeps.
UPDATE organizations
   SET client_publish = coalesce($2, client_publish), anonymous = coalesce($3, anonymous),
       client_insecure = coalesce($4, client_insecure), unknown_namespaces = coalesce($5, unknown_namespaces),
       name = coalesce($6, name), token_secret_sealed = coalesce($7, token_secret_sealed),
       require_idempotency_key = coalesce($8, require_idempotency_key), version = version + 1, updated_at = clock_timestamp()
 WHERE organization_id = $1 RETURNING organization_id

-- insert_key --
-- A new key; the key itself is not in it.
INSERT INTO api_keys (organization_id, api_key_id, digest, name, first, last, scopes, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- keys --
-- An organization's keys, newest first.
SELECT api_key_id, name, first, last, scopes, created_at, expires_at, revoked_at, last_used_at
  FROM api_keys WHERE organization_id = $1 ORDER BY created_at DESC LIMIT $2

-- revoke_key --
-- End a key now.
UPDATE api_keys SET revoked_at = clock_timestamp() WHERE organization_id = $1 AND api_key_id = $2 AND revoked_at IS NULL
RETURNING api_key_id
