-- A worker is about to begin a message of which it is to be known, should it die with it: see recover.lua.
--
-- KEYS: started    ARGV: id, how long that is remembered (ms)
redis.call('SREM', KEYS[1], '') -- for a full Redis, see wire/scripts.py
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
