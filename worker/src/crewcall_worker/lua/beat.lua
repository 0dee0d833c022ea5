-- A worker tells of itself and hears its orders. Returns {now in ms, its pod's order or false, 1 if it is fenced, the
-- queues that are paused}. Whoever was asked by hand to drain is ordered to, as by the operator.
-- A fenced worker leaves no trace: it was declared dead, and comes back under another id or not at all.
--
-- Its heartbeat is for Dramatiq's maintenance alone, which takes silence for death even while Redis itself was away.
-- So that is written ahead; whether a worker of ours lives is told by its record.
--
-- KEYS: workers, orders, fenced, heartbeats, paused, asked    ARGV: worker, pod, its record without the time, ms ahead
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local order = redis.call('HGET', KEYS[2], ARGV[2])
if redis.call('HEXISTS', KEYS[6], ARGV[1]) == 1 then
  order = 'drain'
end
local paused = redis.call('HKEYS', KEYS[5])
if redis.call('ZSCORE', KEYS[3], ARGV[1]) then
  return { now, order, 1, paused }
end
redis.call('ZREM', KEYS[4], '') -- for a full Redis, see wire/scripts.py
local record = string.format('%s,"at_ms":%.0f}', string.sub(ARGV[3], 1, -2), now)
redis.call('HSET', KEYS[1], ARGV[1], record)
redis.call('ZADD', KEYS[4], string.format('%.0f', now + ARGV[4]), ARGV[1])
return { now, order, 0, paused }
