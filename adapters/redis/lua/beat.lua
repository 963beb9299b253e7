-- Tells that a replica lives, finds those that do not, and gives one of them to the caller to be swept.
--
-- KEYS[1]  replicas that live (sorted set: tag -> when it was last heard of, ms of this server's clock)
-- KEYS[2]  replicas that are lost and not swept yet (sorted set: tag -> from when on it may be given to somebody)
-- ARGV     <tag> <1: it begins, 0: it is there already> <ms of silence after which one is lost>
--          <ms for which a lost one is given to the caller to be swept; 0: none is wanted>
-- Result   the time in ms; 1, or 0 when the replica is not there any more: it must begin anew, under another
--          tag; the lost tag to be swept, or ""; how many keys this server has ever evicted

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local silent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3], 'LIMIT', 0, 100)
for _, tag in ipairs(silent) do
  redis.call('ZREM', KEYS[1], tag)
  redis.call('ZADD', KEYS[2], 0, tag)
end

local alive = 1
if ARGV[2] == '1' or redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  redis.call('ZADD', KEYS[1], now, ARGV[1])
else
  alive = 0
end

local lost = ''
if ARGV[4] ~= '0' then
  lost = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1)[1] or ''
end
if lost ~= '' then
  redis.call('ZADD', KEYS[2], now + ARGV[4], lost)
end
local evicted = string.match(redis.call('INFO', 'stats'), 'evicted_keys:(%d+)') or '0'
return { now, alive, lost, tonumber(evicted) }
