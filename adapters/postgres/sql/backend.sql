-- backend --
-- What an organization says of its backend, sealed.
SELECT backend_sealed FROM organizations WHERE organization_id = $1

-- backend_to_change --
-- The same, while nobody else changes it; nobody who only reads the organization or writes to its log waits.
SELECT backend_sealed FROM organizations WHERE organization_id = $1 FOR NO KEY UPDATE

-- set_backend --
-- All of it at once.
UPDATE organizations SET backend_sealed = $2 WHERE organization_id = $1
