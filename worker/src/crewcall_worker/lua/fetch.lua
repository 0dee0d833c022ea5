-- Fetch up to `wanted` messages, as Dramatiq's "fetch" does: take their ids off the head of the list and note them as
-- this worker's. Returns {ids, messages, kills, deliveries}; the last two are empty unless one of the ids has any.
-- Returns -1 to a worker without a record: it has not registered yet, or was declared dead.
-- Returns -2 where more is noted as this worker's than it holds: the reply to an earlier fetch never reached it.
--
-- KEYS: list, messages, acks, workers, kills, deliveries    ARGV: worker, wanted, held
local list, messages, acks = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HEXISTS', KEYS[4], ARGV[1]) == 0 then
  return -1
end
if redis.call('SCARD', acks) > tonumber(ARGV[3]) then
  return -2
end

local ids
if ARGV[2] == '1' then
  ids = { redis.call('LPOP', list) or nil }
else
  ids = redis.call('LRANGE', list, 0, ARGV[2] - 1)
  if #ids > 0 then
    redis.call('LTRIM', list, #ids, -1)
  end
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
