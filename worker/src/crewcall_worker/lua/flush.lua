-- Drop what is noted of a queue's messages beside Dramatiq's own keys: the purge of those leaves the lanes.
-- ARGV: namespace, queue (plain).
local queue = ARGV[2]
local crewcall = "crewcall:" .. ARGV[1] .. ":"
for _, lanes in ipairs({"lanes:", "full:"}) do
    for _, lane in ipairs(redis.call("ZRANGE", crewcall .. lanes .. queue, 0, -1)) do
        redis.call("DEL", crewcall .. "lane:" .. queue .. ":" .. lane)
        redis.call("DEL", crewcall .. "taken:" .. queue .. ":" .. string.match(lane, ":(.*)$"))
    end
end
for _, name in ipairs({"lanes:", "full:", "surplus:", "waiting:", "eta:", "kills:", "deliveries:"}) do
    redis.call("DEL", crewcall .. name .. queue)
end
