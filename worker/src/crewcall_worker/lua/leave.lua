-- A worker goes home: its record goes, its heartbeat, and what it was asked by hand. Not where anything is still noted
-- as its own: by the first two others find it. Returns whether it is gone.
--
-- KEYS: workers, heartbeats, asked, its acks of each queue ...    ARGV: worker
for i = 4, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    return 0
  end
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return 1
