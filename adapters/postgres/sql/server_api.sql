-- keys_by_mark --
-- The keys with these marks; their organizations come from the rows.
SELECT mark, organization_id, api_key_id FROM server_api_keys WHERE mark = ANY($1)

-- open_organization --
-- The default organization, if nobody needs a key for its /api.
SELECT s.organization_id FROM server_apis s JOIN installation i ON s.organization_id = i.default_organization_id WHERE s.is_open

-- errors_by_status --
-- Whether an organization has errors told by the HTTP status.
SELECT errors_by_status FROM server_apis WHERE organization_id = $1

-- put_server_api --
-- How an organization's /api is from now on.
INSERT INTO server_apis (organization_id, is_open, errors_by_status) VALUES ($1, $2, $3)
ON CONFLICT (organization_id) DO UPDATE SET is_open = excluded.is_open, errors_by_status = excluded.errors_by_status

-- forget_keys --
-- All keys that an organization brought along.
DELETE FROM server_api_keys WHERE organization_id = $1

-- insert_key --
-- A key that it brings along; no row: it is another organization's.
INSERT INTO server_api_keys (organization_id, mark, api_key_id) VALUES ($1, $2, $3)
ON CONFLICT (mark) DO NOTHING RETURNING api_key_id
