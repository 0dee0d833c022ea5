-- Put one message into its queue: what Dramatiq's own enqueue does, and what Crewcall knows of it, in one step.
-- ARGV: namespace, queue (plain), message id, message, ETA (ms, "" without a delay), the worker and the delayed id
-- that this message is the promotion of ("" and "" if of none), "1" to enter the queue in the registry,
-- "1" to publish a hint if the queue was empty.
-- Answers {now (ms), 1 if a hint was published, 0 if not, -1 if there was nothing to promote}.

local namespace, queue, id, message, eta, worker, promoted = unpack(ARGV, 1, 7)
local may_register, may_hint = ARGV[8] == "1", ARGV[9] == "1"
local crewcall = "crewcall:" .. namespace .. ":"
local delayed = namespace .. ":" .. queue .. ".DQ"

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if promoted ~= "" then
    -- Not ours any more: it was promoted before, or given to another worker when this one was taken for dead.
    if redis.call("SREM", namespace .. ":__acks__." .. worker .. "." .. queue .. ".DQ", promoted) == 0 then
        return {now, -1}
    end
    redis.call("ZREM", crewcall .. "eta:" .. queue, promoted)
    if redis.call("HDEL", delayed .. ".msgs", promoted) == 0 then
        return {now, -1}
    end
end

if may_register then
    redis.call("SADD", crewcall .. "queues", queue)
end

local name = eta == "" and queue or queue .. ".DQ"
local full_name = namespace .. ":" .. name
-- A client that lost the first answer asks again: the second time it is there already.
if redis.call("HSETNX", full_name .. ".msgs", id, message) == 0 then
    return {now, 0}
end
local length = redis.call("RPUSH", full_name, id)
if eta == "" then
    redis.call("HINCRBY", crewcall .. "stats:" .. queue, "enqueued", 1)
else
    redis.call("ZADD", crewcall .. "eta:" .. queue, eta, id)
end
if length == 1 and may_hint then
    redis.call("PUBLISH", crewcall .. "hints", name)
    return {now, 1}
end
return {now, 0}
