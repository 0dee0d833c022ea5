-- Let a paused queue go on. Answers the JSON of whoever paused it, or nothing where nobody had.
--
-- KEYS: paused    ARGV: queue, the channel
local text = redis.call('HGET', KEYS[1], ARGV[1])
if text then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('PUBLISH', ARGV[2], ARGV[1])
end
return text
