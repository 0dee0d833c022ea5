-- Give back what is noted as this worker's though it does not hold it: the reply to its fetch was lost on the way.
-- Their order is lost as well; what was ready first goes first. Returns how many went back.
--
-- KEYS: acks, list, messages    ARGV: the ids that the worker holds
local function ready_at(message)
  local is_json, fields = pcall(cjson.decode, message)
  if not is_json or type(fields) ~= 'table' then
    return 0
  end
  local options = type(fields['options']) == 'table' and fields['options'] or {}
  return tonumber(options['ready_at']) or tonumber(fields['message_timestamp']) or 0
end

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
      strays[#strays + 1] = { id = id, ready = ready_at(message) }
    end
  end
end
table.sort(strays, function(one, other) -- within a millisecond by the id, as recover.lua
  if one.ready ~= other.ready then
    return one.ready > other.ready
  end
  return one.id > other.id
end)
for _, stray in ipairs(strays) do
  redis.call('LPUSH', KEYS[2], stray.id)
end
return #strays
