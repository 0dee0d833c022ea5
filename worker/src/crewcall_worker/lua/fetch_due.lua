-- Fetch delayed messages that are due soon, wherever they are in the list: for a worker whose memory is full of those
-- that are due later. By the index, so those of plain producers are not found. What another worker has is left to it.
-- Returns what fetch.lua does.
--
-- KEYS: list, messages, acks, workers, kills, deliveries, eta, heartbeats
-- ARGV: worker, wanted, held, due within (ms), namespace, queue
local list, messages, acks, eta = KEYS[1], KEYS[2], KEYS[3], KEYS[7]
local LOOKED_AT = 1000 -- entries of the index
-- To take an id from the middle of the list Redis walks through it, at some 30 million steps a second. So no more ids
-- are tried at a time than make about 10 ms, in which it serves nobody else; a worker that got any comes again at once.
local STEPS = 300000

if redis.call('HEXISTS', KEYS[4], ARGV[1]) == 0 then
  return -1
end
if redis.call('SCARD', acks) > tonumber(ARGV[3]) then
  return -2
end

local length = redis.call('LLEN', list)
if length == 0 then
  return { {}, {}, {}, {} }
end
local tries = math.min(tonumber(ARGV[2]), math.ceil(STEPS / length))
local time = redis.call('TIME')
local horizon = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[4]
local others -- the acks of all other workers; read once it is known that something is not ours

local function is_held(id)
  if not others then
    others = {}
    for _, worker in ipairs(redis.call('ZRANGE', KEYS[8], 0, -1)) do
      local key = ARGV[5] .. ':__acks__.' .. worker .. '.' .. ARGV[6]
      if key ~= acks and redis.call('EXISTS', key) == 1 then
        others[#others + 1] = key
      end
    end
  end
  for _, key in ipairs(others) do
    if redis.call('SISMEMBER', key, id) == 1 then
      return true
    end
  end
  return false
end

local ids, found = {}, {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', eta, '-inf', string.format('%.0f', horizon), 'LIMIT', 0, LOOKED_AT)) do
  if tries == 0 then
    break
  end
  if redis.call('SISMEMBER', acks, id) == 0 then
    local message = redis.call('HGET', messages, id)
    if message and not is_held(id) then
      tries = tries - 1
      -- From the tail: what is due soon was mostly sent lately.
      if redis.call('LREM', list, -1, id) == 1 then
        redis.call('SADD', acks, id)
        ids[#ids + 1], found[#found + 1] = id, message
      end
    end
  end
end
local kills, deliveries = {}, {}
if #ids > 0 and redis.call('EXISTS', KEYS[5], KEYS[6]) > 0 then
  kills = redis.call('HMGET', KEYS[5], unpack(ids))
  deliveries = redis.call('HMGET', KEYS[6], unpack(ids))
end
return { ids, found, kills, deliveries }
