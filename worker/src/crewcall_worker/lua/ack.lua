-- Acknowledge a message that nothing else is known of: what nearly every job ends with. As Dramatiq's "ack" does.
--
-- KEYS: acks, messages    ARGV: id
if redis.call('SREM', KEYS[1], ARGV[1]) == 1 then
  redis.call('HDEL', KEYS[2], ARGV[1])
end
