-- The schedules whose tick has passed, the longest ago first. Reads only.
-- ARGV: namespace, how many of the first to leave out, at most, and how many ms from now (for tests; 0).
-- Answers {now (ms), then for each its name, its definition, its plan}.

local namespace, but, most, ahead = unpack(ARGV, 1, 4)
local crewcall = "crewcall:" .. namespace .. ":"
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ahead

local answer = {now}
local until_now = string.format("%.0f", now)
for _, name in ipairs(redis.call("ZRANGEBYSCORE", crewcall .. "ticks", "-inf", until_now, "LIMIT", but, most)) do
    answer[#answer + 1] = name
    answer[#answer + 1] = redis.call("HGET", crewcall .. "schedules", name) or ""
    answer[#answer + 1] = redis.call("HGET", crewcall .. "planned", name) or ""
end
return answer
