-- Pin a pool, in place of a pin that it has. Answers the pin as it is written.
--
-- KEYS: pins    ARGV: pool, the pin's JSON without the time
local now = redis.call('TIME')
local at_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local text = string.format('%s,"at_ms":%.0f}', string.sub(ARGV[2], 1, -2), at_ms)
redis.call('HSET', KEYS[1], ARGV[1], text)
return text
