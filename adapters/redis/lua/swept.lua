-- Forgets a lost replica, unless something of it is left.
--
-- KEYS[1]  replicas that are lost and not swept yet (sorted set)
-- KEYS[2]  organizations in which it may have entries (set)
-- ARGV     <tag>
-- Result   1 when it is forgotten, else 0

if redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
return redis.call('ZREM', KEYS[1], ARGV[1])
