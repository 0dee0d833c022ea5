-- Add to counts of queues.
--
-- KEYS: stats of the queue that each count is of    ARGV: for each its field, and how many
redis.call('HDEL', KEYS[1], '') -- for a full Redis, see wire/scripts.py
for i = 1, #KEYS do
  redis.call('HINCRBY', KEYS[i], ARGV[2 * i - 1], ARGV[2 * i])
end
