-- A message that a worker has fetched and not begun becomes a delayed one: in one step, so that no crash loses or
-- doubles it. Nothing happens where it is no longer this worker's. Returns whether it was.
--
-- KEYS: acks, messages, list of delayed ones, their messages, eta, stats
-- ARGV: id, the message as it is to be, when it is due (ms), what Crewcall's keys begin with, the queue, and the
-- organisation whose job it is ("" for none)
local id = ARGV[1]
if redis.call('SREM', KEYS[1], id) == 0 or redis.call('HDEL', KEYS[2], id) == 0 then
  return 0
end
if redis.call('HSETNX', KEYS[4], id, ARGV[2]) == 1 then
  redis.call('RPUSH', KEYS[3], id)
  redis.call('ZADD', KEYS[5], ARGV[3], id)
end
redis.call('HINCRBY', KEYS[6], 'postponed', 1)
if ARGV[6] ~= '' then
  LIMITS.release(ARGV[4], ARGV[5], ARGV[6], id)
end
return 1
