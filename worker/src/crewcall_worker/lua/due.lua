-- The schedules whose tick has passed, the longest ago first. Reads only.
-- ARGV: namespace, at most, and how many ms from now (for tests; 0).
-- Answers {now (ms), then for each its name, its definition, its plan}.

local namespace, most, ahead = ARGV[1], ARGV[2], ARGV[3]
local crewcall = "crewcall:" .. namespace .. ":"
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ahead

local answer = {now}
for _, name in ipairs(redis.call("ZRANGEBYSCORE", crewcall .. "ticks", "-inf", string.format("%.0f", now), "LIMIT", 0, most)) do
    answer[#answer + 1] = name
    answer[#answer + 1] = redis.call("HGET", crewcall .. "schedules", name) or ""
    answer[#answer + 1] = redis.call("HGET", crewcall .. "planned", name) or ""
end
return answer
