-- Which workers without the runtime have died? Dramatiq finds them by chance, in commands that our workers never send.
-- ARGV: namespace, pool, silent_ms (Dramatiq's own measure: 60,000), period_ms, forget_ms.
-- Answers the ids of those whose heartbeat has stood still for so long while they hold messages of a queue in the
-- registry; nothing where somebody else has looked within the period, or nobody could be heard for that long (see
-- sweep.lua).
--
-- A heartbeat is by its worker's own clock: one that is behind looks silent while it beats. So `plain:<pool>` remembers
-- of each that looks silent its heartbeat and since when, by Redis's clock, that has not moved.
--
-- Every producer that there ever was is in `__heartbeats__`. So only some are looked at: those that fell silent last,
-- and, each time, the next few of the others. Who holds nothing and is silent for `forget_ms` is struck off.

local namespace, pool = ARGV[1], ARGV[2]
local silent_ms, period_ms, forget_ms = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local crewcall = "crewcall:" .. namespace .. ":"
local sweep, plain = crewcall .. "sweep:" .. pool, crewcall .. "plain:" .. pool
local heartbeats = namespace .. ":__heartbeats__"
local AT_ONCE = 20

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since_ms = tonumber(redis.call("HGET", sweep, "since_ms"))
local looked_ms = tonumber(redis.call("HGET", sweep, "plain_at_ms")) or 0
if not since_ms or math.abs(now - looked_ms) < period_ms then
    return {}
end
redis.call("HDEL", sweep, "") -- for a full Redis, see wire/scripts.py
local could_be_heard = now - since_ms >= silent_ms

local queues = redis.call("SMEMBERS", crewcall .. "queues")
local function holds_messages(id)
    local acks = namespace .. ":__acks__." .. id .. "."
    for _, queue in ipairs(queues) do
        if redis.call("EXISTS", acks .. queue, acks .. queue .. ".DQ") > 0 then
            return true
        end
    end
    return false
end

local dead = {}
local function remember(id)
    redis.call("HSETNX", plain, id, redis.call("ZSCORE", heartbeats, id) .. string.format(" %.0f", now))
end

local offset = tonumber(redis.call("HGET", sweep, "plain_offset")) or 0
local limit = now - period_ms
local newest = redis.call("ZREVRANGEBYSCORE", heartbeats, limit, "-inf", "LIMIT", 0, AT_ONCE)
local others = redis.call("ZRANGEBYSCORE", heartbeats, "-inf", limit, "WITHSCORES", "LIMIT", offset, AT_ONCE)
for i = 1, #others, 2 do
    if holds_messages(others[i]) then
        remember(others[i])
        offset = offset + 1
    elseif tonumber(others[i + 1]) < now - forget_ms then
        redis.call("ZREM", heartbeats, others[i])
    else
        offset = offset + 1
    end
end
for _, id in ipairs(newest) do
    if holds_messages(id) then
        remember(id)
    end
end

local remembered = redis.call("HGETALL", plain)
for i = 1, #remembered, 2 do
    local id = remembered[i]
    local beat, unmoved_ms = string.match(remembered[i + 1], "^(%S+) (%d+)$")
    local beats = redis.call("ZSCORE", heartbeats, id)
    if not beats or not holds_messages(id) then
        redis.call("HDEL", plain, id)
    elseif beats ~= beat then
        redis.call("HSET", plain, id, beats .. string.format(" %.0f", now))
    elseif could_be_heard and math.abs(now - unmoved_ms) >= silent_ms then
        dead[#dead + 1] = id
    end
end
redis.call("HSET", sweep, "plain_at_ms", now, "plain_offset", #others < 2 * AT_ONCE and 0 or offset)
return dead
