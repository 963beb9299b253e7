-- Lets one replica at a time tell how many are in a channel, when that is not what was told last.
--
-- KEYS[1]  what was told of the channel (hash): level -> "<clients> <users>", at -> when that was, ms of this server's
--          clock; holder, until -> who is about to tell it, and up to when nobody else does
-- KEYS[2]  the channel itself (hash, see presence.lua)
-- KEYS[3]  channels of the organization of which was told last that somebody is there (set)
-- ARGV     claim <holder> <ms between two tellings> <ms for which the caller is left to it> <lost tag> ...
--          told <holder> <channel> <clients> <users> <ms for which an empty channel is remembered>
--          failed <holder>
--          forget <channel>
-- Result   of claim: <ms to wait before asking again; 0: nothing is to be told; -1: the caller tells> <clients> <users>;
--          of the others: 1, or 0 when it is not the caller's to tell any more

local told, present, occupied = KEYS[1], KEYS[2], KEYS[3]
local verb, holder = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if verb == 'claim' then
  local interval, held = tonumber(ARGV[3]), tonumber(ARGV[4])
  local counts = redis.call('HMGET', present, '#clients', '#users')
  local clients, users = tonumber(counts[1] or 0), tonumber(counts[2] or 0)
  for at = 5, #ARGV do
    clients = clients - tonumber(redis.call('HGET', present, 'n' .. ARGV[at]) or 0)
  end
  users = math.min(users, clients)

  local last = redis.call('HMGET', told, 'level', 'at', 'until')
  local left = tonumber(last[3] or 0) - now
  if left > 0 then
    return { math.min(left, interval), clients, users }
  end
  if last[1] == clients .. ' ' .. users then
    return { 0, clients, users }
  end
  -- A clock that was set back must not silence a channel.
  local wait = math.min(tonumber(last[2] or 0) + interval - now, interval)
  if wait > 0 then
    return { wait, clients, users }
  end
  redis.call('HSET', told, 'holder', holder, 'until', now + held)
  if not last[1] or redis.call('PTTL', told) >= 0 then
    redis.call('PEXPIRE', told, held)
  end
  return { -1, clients, users }
end

if verb == 'forget' then
  redis.call('DEL', told)
  return redis.call('SREM', occupied, ARGV[2])
end

if redis.call('HGET', told, 'holder') ~= holder then
  return 0
end
redis.call('HDEL', told, 'holder', 'until')
if verb == 'told' then
  redis.call('HSET', told, 'level', ARGV[4] .. ' ' .. ARGV[5], 'at', now)
  if ARGV[4] == '0' then
    redis.call('SREM', occupied, ARGV[3])
    redis.call('PEXPIRE', told, ARGV[6])
  else
    redis.call('SADD', occupied, ARGV[3])
    redis.call('PERSIST', told)
  end
end
return 1
