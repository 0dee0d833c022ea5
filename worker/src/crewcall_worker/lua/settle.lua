-- A message is done with: acknowledge it, or move it to the dead letters, as Dramatiq's "ack" and "nack" do. Nothing
-- happens where it is no longer this worker's: then it was given to another one. Returns whether it was.
--
-- KEYS: acks, messages, kills, deliveries, eta, dead, dead messages
-- ARGV: id, what ("ack" or "nack"), whether it may be in kills or deliveries ("1" or "0"), whether it is in eta, and for
-- a dead letter the message as the worker last knew it, with its last error (or "": as it is here). What Crewcall's keys
-- begin with, the queue, and the organisation whose job it is ("" for none)
local id = ARGV[1]
if redis.call('SREM', KEYS[1], id) == 0 then
  return 0
end
if ARGV[2] == 'nack' then
  local message = redis.call('HGET', KEYS[2], id)
  if message then
    local now = redis.call('TIME')
    redis.call('ZADD', KEYS[6], now[1] * 1000 + math.floor(now[2] / 1000), id)
    redis.call('HSET', KEYS[7], id, ARGV[5] ~= '' and ARGV[5] or message)
  end
end
redis.call('HDEL', KEYS[2], id)
if ARGV[3] == '1' then
  redis.call('HDEL', KEYS[3], id)
  redis.call('HDEL', KEYS[4], id)
end
if ARGV[4] == '1' then
  redis.call('ZREM', KEYS[5], id)
end
if ARGV[8] ~= '' then
  LIMITS.release(ARGV[6], ARGV[7], ARGV[8], id)
end
return 1
