-- Ask a worker to drain, unless somebody has. Answers the JSON of whoever asked first, or nothing where there is no such
-- worker.
--
-- KEYS: asked, workers, the channel of orders    ARGV: worker, JSON without the time, for how long it is kept (ms)
local record = redis.call('HGET', KEYS[2], ARGV[1])
if not record then
  return false
end
local now = redis.call('TIME')
local at_ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('HSETNX', KEYS[1], ARGV[1], string.format('%s,"at_ms":%.0f}', string.sub(ARGV[2], 1, -2), at_ms))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local is_json, fields = pcall(cjson.decode, record)
if is_json and type(fields) == 'table' and type(fields.pod) == 'string' then
  redis.call('PUBLISH', KEYS[3], fields.pod)
end
return redis.call('HGET', KEYS[1], ARGV[1])
