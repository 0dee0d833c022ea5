-- Set or lift the limit of an organisation, or that of all others.
-- ARGV: what Crewcall's keys begin with, the queue, the organisation ("*" for all others), how many of its jobs may be in
-- flight at once ("" for as many as there are). Answers what it was before, or nothing.
local crewcall, queue, whose, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local limits = crewcall .. "limits:" .. queue
local before = redis.call("HGET", limits, whose)
if most == "" then
    redis.call("HDEL", limits, whose)
else
    redis.call("HSET", limits, whose, most)
end
local concerned = {[whose] = true}
if whose == "*" then
    for _, lanes in ipairs({"lanes:", "full:"}) do
        for _, lane in ipairs(redis.call("ZRANGE", crewcall .. lanes .. queue, 0, -1)) do
            concerned[string.match(lane, ":(.*)$")] = true
        end
    end
end
concerned["*"] = nil
for organization in pairs(concerned) do
    LIMITS.refresh(crewcall, queue, organization)
end
return before
