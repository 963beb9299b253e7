-- Adds steps to what is remembered of one connection, and remembers it longer.
--
-- KEYS[1]  its record (list): how it came, then its steps, the oldest first
-- KEYS[2]  the organization's remembered connections (sorted set: client -> when it was told of, ms of this
--          server's clock)
-- KEYS[3]  those of its user (sorted set, every score is 0); some of them may be forgotten already
-- ARGV     <ms for which it is remembered> <most connections> <most steps> <client>
--          <1: it begins, with the first of these steps; 0: it goes on> <step> ...
-- Result   1, or 0 when there is nothing that it could go on from, or no room for one more

local kept, most, steps, client = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if ARGV[5] == '1' then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - kept)
  if not redis.call('ZSCORE', KEYS[2], client) and redis.call('ZCARD', KEYS[2]) >= most then
    return 0
  end
  -- Two are looked at for one that comes: so no more than half of them are forgotten ones, about.
  for _, other in ipairs(redis.call('ZRANDMEMBER', KEYS[3], 2)) do
    if not redis.call('ZSCORE', KEYS[2], other) then
      redis.call('ZREM', KEYS[3], other)
    end
  end
  redis.call('DEL', KEYS[1])
elseif redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end

for at = 6, #ARGV do
  redis.call('RPUSH', KEYS[1], ARGV[at])
end
local surplus = redis.call('LLEN', KEYS[1]) - steps
if surplus > 0 then
  local came = redis.call('LPOP', KEYS[1])
  redis.call('LTRIM', KEYS[1], surplus, -1)
  redis.call('LPUSH', KEYS[1], came)
end
redis.call('ZADD', KEYS[2], now, client)
redis.call('ZADD', KEYS[3], 0, client)
redis.call('PEXPIRE', KEYS[1], kept)
redis.call('PEXPIRE', KEYS[2], kept)
redis.call('PEXPIRE', KEYS[3], kept)
return 1
