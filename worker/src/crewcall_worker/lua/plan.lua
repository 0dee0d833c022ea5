-- Change a schedule, and with it the message of its next tick, in one step: the only way in which either ever changes.
-- Whoever wants to says what he has seen of it; where that is not what is there now, nothing happens. So of all who see
-- that a tick has passed, one plans the next.
--
-- ARGV: namespace, the schedule's name, its definition and its plan as they were seen ("" for none), both as they are
-- to be ("" for none), the queue (plain) and the id of a message to take away ("" for none), the next tick (ms), its
-- queue, id, message and organisation, and "1" where the tick before has become a job.
-- Answers 1, or 0 where it is not as it was seen.

local namespace, name, seen_definition, seen_plan, definition, plan = unpack(ARGV, 1, 6)
local old_queue, old_id, tick, queue, id, message, organization = unpack(ARGV, 7, 13)
local has_passed = ARGV[14] == "1"
local crewcall = "crewcall:" .. namespace .. ":"
local DAY, KEPT = 86400000, 2764800000 -- ms, as in enqueue.lua

if (redis.call("HGET", crewcall .. "schedules", name) or "") ~= seen_definition
    or (redis.call("HGET", crewcall .. "planned", name) or "") ~= seen_plan then
    return 0
end

if old_id ~= "" then
    -- One that a worker has in its memory as well: what is not here is not promoted. One that has become a job is not
    -- delayed any more, and stays.
    local delayed = namespace .. ":" .. old_queue .. ".DQ"
    redis.call("HDEL", delayed .. ".msgs", old_id)
    redis.call("LREM", delayed, -1, old_id)
    redis.call("ZREM", crewcall .. "eta:" .. old_queue, old_id)
end

if definition == "" then
    redis.call("HDEL", crewcall .. "schedules", name)
else
    redis.call("HSET", crewcall .. "schedules", name, definition)
end
if plan == "" then
    redis.call("HDEL", crewcall .. "planned", name)
    redis.call("ZREM", crewcall .. "ticks", name)
    return 1
end
redis.call("HSET", crewcall .. "planned", name, plan)
redis.call("ZADD", crewcall .. "ticks", tick, name)

if has_passed then
    local time = redis.call("TIME")
    local key = string.format("%sorganization:%s:%d", crewcall, organization, math.floor(time[1] * 1000 / DAY))
    if redis.call("HINCRBY", key, queue .. ".enqueued", 1) == 1 then
        redis.call("PEXPIRE", key, KEPT)
    end
end

local full_name = namespace .. ":" .. queue .. ".DQ"
redis.call("SADD", crewcall .. "queues", queue)
if redis.call("HSETNX", full_name .. ".msgs", id, message) == 1 then
    redis.call("ZADD", crewcall .. "eta:" .. queue, tick, id)
    if redis.call("RPUSH", full_name, id) == 1 then
        redis.call("PUBLISH", crewcall .. "hints", queue .. ".DQ")
    end
end
return 1
