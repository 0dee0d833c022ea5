-- Note jobs that are done, and drop what is older or more than is kept. Both keys expire when the youngest of a queue
-- is too old, so that nobody has to clear up after a queue that is not used any more.
-- Answers how many of the jobs had been done before: the same job, run once more. What is told a second time, because
-- the first answer was lost, is no other run.
--
-- KEYS: completed, records, stats    ARGV: kept for (ms), at most, then for each its id, when it was done (ms), its JSON
local completed, records = KEYS[1], KEYS[2]
local AT_ONCE = 1000 -- of what is dropped: Lua's stack has an end

local function drop(ids)
  if #ids > 0 then
    redis.call('ZREM', completed, unpack(ids))
    redis.call('HDEL', records, unpack(ids))
  end
  return #ids == AT_ONCE
end

local again = 0
for i = 3, #ARGV, 3 do
  local before = redis.call('HGET', records, ARGV[i])
  if before and before ~= ARGV[i + 2] then
    again = again + 1
  end
  redis.call('HSET', records, ARGV[i], ARGV[i + 2])
  redis.call('ZADD', completed, ARGV[i + 1], ARGV[i])
end
if again > 0 then
  redis.call('HINCRBY', KEYS[3], 'repeated', again)
end

local time = redis.call('TIME')
local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
while drop(redis.call('ZRANGEBYSCORE', completed, '-inf', string.format('%.0f', oldest), 'LIMIT', 0, AT_ONCE)) do
end
local over = redis.call('ZCARD', completed) - ARGV[2]
while over > 0 do
  drop(redis.call('ZRANGE', completed, 0, math.min(over, AT_ONCE) - 1))
  over = over - AT_ONCE
end
redis.call('PEXPIRE', completed, ARGV[1])
redis.call('PEXPIRE', records, ARGV[1])
return again
