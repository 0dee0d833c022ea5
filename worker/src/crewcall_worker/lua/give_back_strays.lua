-- Give back what is noted as this worker's though it does not hold it: the reply to its fetch was lost on the way.
-- Their order is lost as well; what came into the queue first goes first. Returns how many went back.
--
-- KEYS: acks, list, messages    ARGV: the ids that the worker holds
local held = {}
for i = 1, #ARGV do
  held[ARGV[i]] = true
end
local strays = {}
for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if not held[id] then
    redis.call('SREM', KEYS[1], id)
    local message = redis.call('HGET', KEYS[3], id)
    if message then
      local is_json, fields = pcall(cjson.decode, message)
      local sent = is_json and type(fields) == 'table' and tonumber(fields['message_timestamp']) or 0
      strays[#strays + 1] = { id = id, sent = sent }
    end
  end
end
table.sort(strays, function(one, other)
  return one.sent > other.sent
end)
for _, stray in ipairs(strays) do
  redis.call('LPUSH', KEYS[2], stray.id)
end
return #strays
