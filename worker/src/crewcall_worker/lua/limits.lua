-- How many jobs of an organisation a queue lets be in flight at once. Put before the scripts that need it.
--
-- What is in flight of an organisation with a limit is in `taken`. While that is as many as its limit, its lanes are in
-- `full` instead of in `lanes`, with the turns that they had: so whoever fetches looks at no lane in vain. `surplus` has,
-- for each such organisation, how many of its waiting jobs may not be fetched though all that may be are; and under ""
-- the sum of all.
local LIMITS = {MOST_URGENT = 0, LEAST_URGENT = 9, CHECKED = 5}

-- The limit of an organisation, its own or that of all ("*"); nil where there is none.
function LIMITS.of(crewcall, queue, organization)
    if organization == "" then
        return nil
    end
    local found = redis.call("HMGET", crewcall .. "limits:" .. queue, organization, "*")
    return tonumber(found[1] or found[2] or nil)
end

-- After anything that changes what waits of an organisation, what is in flight, or its limit.
function LIMITS.refresh(crewcall, queue, organization)
    if organization == "" then
        return -- nobody's jobs have no limit
    end
    local limit = LIMITS.of(crewcall, queue, organization)
    local surplus = crewcall .. "surplus:" .. queue
    local known = tonumber(redis.call("HGET", surplus, organization) or 0)
    local free = limit and math.max(0, limit - redis.call("SCARD", crewcall .. "taken:" .. queue .. ":" .. organization))
    local from, to = crewcall .. "lanes:" .. queue, crewcall .. "full:" .. queue
    if free ~= 0 then
        from, to = to, from
    end
    local waiting = 0
    for priority = LIMITS.MOST_URGENT, LIMITS.LEAST_URGENT do
        local lane = priority .. ":" .. organization
        local length = redis.call("LLEN", crewcall .. "lane:" .. queue .. ":" .. lane)
        local turn = length > 0 and redis.call("ZSCORE", from, lane)
        if turn then
            redis.call("ZREM", from, lane)
            redis.call("ZADD", to, turn, lane)
        end
        waiting = waiting + length
    end
    local beyond = free and math.max(0, waiting - free) or 0
    if beyond ~= known then
        if beyond == 0 then
            redis.call("HDEL", surplus, organization)
        else
            redis.call("HSET", surplus, organization, beyond)
        end
        if redis.call("HINCRBY", surplus, "", beyond - known) == 0 then
            redis.call("DEL", surplus)
        end
    end
end

-- One of its jobs is in flight no longer.
function LIMITS.release(crewcall, queue, organization, id)
    if redis.call("SREM", crewcall .. "taken:" .. queue .. ":" .. organization, id) == 1 then
        LIMITS.refresh(crewcall, queue, organization)
    end
end

-- Somebody who knows of no limits may have ended a job, or purged it: look whether a few that are noted as in flight
-- are there still. Of another organisation each time, so nothing stays wrong for ever.
function LIMITS.look_for_lost(crewcall, queue, messages)
    local full = crewcall .. "full:" .. queue
    local count = redis.call("ZCARD", full)
    if count == 0 then
        return
    end
    local any = redis.call("TIME")[2] % count -- ZRANDMEMBER is younger than Redis 6.0
    local organization = string.match(redis.call("ZRANGE", full, any, any)[1], ":(.*)$")
    local taken = crewcall .. "taken:" .. queue .. ":" .. organization
    for _, id in ipairs(redis.call("SRANDMEMBER", taken, LIMITS.CHECKED)) do
        if redis.call("HEXISTS", messages, id) == 0 then
            redis.call("SREM", taken, id)
        end
    end
    LIMITS.refresh(crewcall, queue, organization)
end

