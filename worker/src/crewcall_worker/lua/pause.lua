-- Pause a queue, unless somebody has. Answers the JSON of whoever paused it first.
--
-- KEYS: paused    ARGV: queue, its JSON without the time, the channel
local now = redis.call('TIME')
local at_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local text = string.format('%s,"at_ms":%.0f}', string.sub(ARGV[2], 1, -2), at_ms)
if redis.call('HSETNX', KEYS[1], ARGV[1], text) == 1 then
  redis.call('PUBLISH', ARGV[3], ARGV[1])
end
return redis.call('HGET', KEYS[1], ARGV[1])
