-- Notes organizations in which a replica may have entries, as long as it is known to live.
--
-- KEYS[1]  replicas that live (sorted set, see beat.lua)
-- KEYS[2]  organizations in which it may have entries (set)
-- ARGV     <tag> <organization> ...
-- Result   1, or 0 when the replica is not there any more, and nothing is noted

if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 0
end
for at = 2, #ARGV do
  redis.call('SADD', KEYS[2], ARGV[at])
end
return 1
