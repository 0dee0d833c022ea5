-- Remove a pool's pin. Answers the pin that this removes, or nothing where there was none.
--
-- KEYS: pins    ARGV: pool
local text = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
return text
