-- Fetch up to `wanted` messages, as Dramatiq's "fetch" does: take their ids off the head of the list and note them as
-- this worker's. What the list does not fill is taken from the queue's lanes.
-- Returns {ids, messages, kills, deliveries}; the last two are empty unless one of the ids has any.
-- Returns -1 to a worker without a record: it has not registered yet, or was declared dead.
-- Returns -2 where more is noted as this worker's than it holds: the reply to an earlier fetch never reached it.
-- Returns -3 where the queue is paused.
--
-- Lanes have their turns in the order of their scores: all of the lowest priority number first, and within one priority
-- each lane in its turn, one message a turn. Whoever had it goes behind all others of that priority. Lanes whose
-- organisation is at its limit are not among them, see limits.lua.
--
-- KEYS: list, messages, acks, workers, kills, deliveries, and unless the queue is one of delayed messages:
-- paused, lanes, waiting, limits
-- ARGV: worker, wanted, held, queue, what Crewcall's keys begin with
local list, messages, acks = KEYS[1], KEYS[2], KEYS[3]
local paused, lanes, waiting = KEYS[7], KEYS[8], KEYS[9]
local queue, crewcall = ARGV[4], ARGV[5]
local wanted = tonumber(ARGV[2])
local TURNS = 1000000000000 -- as in wire/lanes.py

if redis.call('HEXISTS', KEYS[4], ARGV[1]) == 0 then
  return -1
end
if redis.call('SCARD', acks) > tonumber(ARGV[3]) then
  return -2
end
if paused and redis.call('HEXISTS', paused, queue) == 1 then
  return -3
end

local ids
if wanted == 1 then
  ids = { redis.call('LPOP', list) or nil }
else
  ids = redis.call('LRANGE', list, 0, wanted - 1)
  if #ids > 0 then
    redis.call('LTRIM', list, #ids, -1)
  end
end

local function pass_turn(lane, turn)
  local first = math.floor(turn / TURNS) * TURNS
  local last = redis.call('ZREVRANGEBYSCORE', lanes, first + TURNS - 1, first, 'WITHSCORES', 'LIMIT', 0, 1)
  if last[1] ~= lane then
    redis.call('ZADD', lanes, last[2] + 1, lane)
  end
end

-- One message of the lane whose turn it is; nil where there was none, false where there is no lane.
local function take(has_limits)
  local first = redis.call('ZRANGE', lanes, 0, 0, 'WITHSCORES')
  local lane = first[1]
  if not lane then
    return false
  end
  local list_of_lane = crewcall .. 'lane:' .. queue .. ':' .. lane
  local id = redis.call('LPOP', list_of_lane)
  if redis.call('EXISTS', list_of_lane) == 0 then
    redis.call('ZREM', lanes, lane)
  else
    pass_turn(lane, first[2])
  end
  if not id then
    return nil
  end
  redis.call('ZREM', waiting, id)
  if has_limits then
    local organization = string.match(lane, ':(.*)$')
    if LIMITS.of(crewcall, queue, organization) then
      redis.call('SADD', crewcall .. 'taken:' .. queue .. ':' .. organization, id)
      LIMITS.refresh(crewcall, queue, organization)
    end
  end
  return id
end

if lanes and #ids < wanted then
  local has_limits = redis.call('EXISTS', KEYS[10]) == 1
  if has_limits then
    redis.call('ZREM', waiting, '') -- for a full Redis, see wire/scripts.py
    LIMITS.look_for_lost(crewcall, queue, messages)
  end
  repeat
    local id = take(has_limits)
    ids[#ids + 1] = id or nil
  until id == false or #ids == wanted
end

if #ids == 0 then
  return { {}, {}, {}, {} }
end
redis.call('SADD', acks, unpack(ids))
local found = redis.call('HMGET', messages, unpack(ids))
for i = 1, #ids do
  if not found[i] then
    redis.call('SREM', acks, ids[i]) -- an id without its message: nothing to run, nothing to acknowledge
  end
end
local kills, deliveries = {}, {}
if redis.call('EXISTS', KEYS[5], KEYS[6]) > 0 then
  kills = redis.call('HMGET', KEYS[5], unpack(ids))
  deliveries = redis.call('HMGET', KEYS[6], unpack(ids))
end
return { ids, found, kills, deliveries }
