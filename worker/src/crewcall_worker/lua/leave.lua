-- A worker goes home: its record goes, and its heartbeat. Not where anything is still noted as its own: by these two
-- others find it. Returns whether it is gone.
--
-- KEYS: workers, heartbeats, its acks of each queue ...    ARGV: worker
for i = 3, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    return 0
  end
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
