-- Changes who is in a channel, or takes out one step of what a lost replica left there.
--
-- KEYS[1]  the channel (hash): c<client> -> its entry "<tag> <bytes of user> <user><infos>", n<tag> -> how many
--          entries a replica has there, u<user> -> how many a user has, #clients, #users
-- KEYS[2]  its clients in order (sorted set, every score is 0)
-- KEYS[3]  channels of the organization in which anybody is (sorted set, every score is 0)
-- KEYS[4]  channels in which the replica has entries (set); some may be named in which it has none any more
-- KEYS[5]  tags under which somebody may enter a channel of the organization (set)
-- ARGV     enter <tag> <channel> <deadline, ms of this server's clock> <client> <entry>
--          leave <tag> <channel> <deadline> <client>
--          sweep <tag> <channel> <cursor> <entries looked at, about>
-- Result   of enter and leave: 1, or 0 when it has no effect, since it came after its deadline, or enters under a
--          tag that may not: nobody would know whose entry that is, and take it out again;
--          of sweep: the next cursor, "0" when nothing of the replica is left
-- Repeated, each changes nothing more. A client has one entry, that of the replica that entered it last.

local channel, clients, index, held, tags = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local verb, tag, name = ARGV[1], ARGV[2], ARGV[3]

local function add(field, amount)
  local count = redis.call('HINCRBY', channel, field, amount)
  if count <= 0 then
    redis.call('HDEL', channel, field)
  end
  return count
end

local function take(client, entry)
  local of, size, rest = string.match(entry, '^(%S+) (%d+) (.*)$')
  redis.call('HDEL', channel, 'c' .. client)
  redis.call('ZREM', clients, client)
  if add('n' .. of, -1) <= 0 and of == tag then
    redis.call('SREM', held, name)
  end
  if add('u' .. string.sub(rest, 1, tonumber(size)), -1) <= 0 then
    add('#users', -1)
  end
  if add('#clients', -1) <= 0 then
    redis.call('ZREM', index, name)
  end
end

local function put(client, entry)
  -- A server that is short of memory may have dropped any of these keys, and kept others.
  redis.call('ZADD', index, 0, name)
  local size, rest = string.match(entry, '^%S+ (%d+) (.*)$')
  redis.call('HSET', channel, 'c' .. client, entry)
  redis.call('ZADD', clients, 0, client)
  if add('n' .. tag, 1) == 1 then
    redis.call('SADD', held, name)
  end
  if add('u' .. string.sub(rest, 1, tonumber(size)), 1) == 1 then
    add('#users', 1)
  end
  add('#clients', 1)
end

if verb == 'sweep' then
  if redis.call('HEXISTS', channel, 'n' .. tag) == 0 then
    redis.call('SREM', held, name)
    return '0'
  end
  local found = redis.call('HSCAN', channel, ARGV[4], 'MATCH', 'c*', 'COUNT', ARGV[5])
  for at = 1, #found[2], 2 do
    if string.sub(found[2][at + 1], 1, #tag + 1) == tag .. ' ' then
      take(string.sub(found[2][at], 2), found[2][at + 1])
    end
  end
  if found[1] == '0' then
    redis.call('HDEL', channel, 'n' .. tag)
    redis.call('SREM', held, name)
  end
  return found[1]
end

local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[4]) then
  return 0
end
if verb == 'enter' and redis.call('SISMEMBER', tags, tag) == 0 then
  return 0
end
local before = redis.call('HGET', channel, 'c' .. ARGV[5])
if before then
  take(ARGV[5], before)
end
if verb == 'enter' then
  put(ARGV[5], ARGV[6])
end
return 1
