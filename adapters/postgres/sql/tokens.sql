-- token_keys --
-- The keys that an organization brought along, sealed.
SELECT token_keys_sealed FROM organizations WHERE organization_id = $1

-- set_token_keys --
-- The whole document at once; null takes it away.
UPDATE organizations SET token_keys_sealed = $2 WHERE organization_id = $1

-- lock_organization --
-- One at a time revokes tokens of an organization, so that their number is exact; nobody else waits.
SELECT organization_id FROM organizations WHERE organization_id = $1 FOR NO KEY UPDATE

-- forget_expired --
-- Those that mean no valid token any more make room.
DELETE FROM token_revocations WHERE organization_id = $1 AND expires_at <= clock_timestamp()

-- revoke --
-- One revocation, while there are fewer than so many; the same again only reaches further.
INSERT INTO token_revocations AS r (organization_id, user_id, token_id, before, expires_at)
SELECT $1, $2, $3, $4, $5
 WHERE (SELECT count(*) FROM token_revocations k
         WHERE k.organization_id = $1 AND (k.user_id, k.token_id) <> ($2, $3)) < $6
ON CONFLICT (organization_id, user_id, token_id) DO UPDATE
   SET before = greatest(r.before, excluded.before), expires_at = greatest(r.expires_at, excluded.expires_at)
RETURNING r.before

-- revocations --
-- All revocations of several organizations.
SELECT organization_id, user_id, token_id, before
  FROM token_revocations WHERE organization_id = ANY ($1) AND expires_at > clock_timestamp()

-- sweep --
-- Those that mean no valid token any more, whoever had them.
DELETE FROM token_revocations WHERE expires_at <= clock_timestamp()
