-- Take one job out of its queue, or out of the dead letters, for good: with all that is noted of it.
-- ARGV: namespace, queue (plain), its id in Redis, the state that it is to be in (ready, delayed, dead, completed), and
-- of a ready one its lane and its organisation ("" and "" for Dramatiq's list, and "" for none).
-- Answers 1, or 0 where it is not in that state any more.
--
-- A worker may have a delayed one in its memory as well: what is not here is not promoted (see enqueue.lua).

local namespace, queue, id, state, lane, organization = unpack(ARGV)
local crewcall, name = "crewcall:" .. namespace .. ":", namespace .. ":" .. queue
local LONGEST = 300000 -- entries of a list to look through, at some 30 million a second

local function forget(hash)
    redis.call("HDEL", crewcall .. "kills:" .. queue, id)
    redis.call("HDEL", crewcall .. "deliveries:" .. queue, id)
    return redis.call("HDEL", hash, id)
end

local function remove_ready()
    if redis.call("HEXISTS", name .. ".msgs", id) == 0 then
        return 0
    end
    if redis.call("ZSCORE", crewcall .. "waiting:" .. queue, id) then
        local key = crewcall .. "lane:" .. queue .. ":" .. lane
        if lane == "" or redis.call("LREM", key, 1, id) == 0 then
            return 0 -- it waits in another lane than the message tells
        end
        redis.call("ZREM", crewcall .. "waiting:" .. queue, id)
        if redis.call("EXISTS", key) == 0 then
            redis.call("ZREM", crewcall .. "lanes:" .. queue, lane)
            redis.call("ZREM", crewcall .. "full:" .. queue, lane)
        end
    elseif redis.call("LREM", name, 1, id) == 0 then
        return 0 -- a worker has it
    end
    forget(name .. ".msgs")
    if organization ~= "" then
        -- It may have been in flight once, and come back to the head.
        redis.call("SREM", crewcall .. "taken:" .. queue .. ":" .. organization, id)
        LIMITS.refresh(crewcall, queue, organization)
    end
    return 1
end

local function remove_delayed()
    local delayed = name .. ".DQ"
    if forget(delayed .. ".msgs") == 0 then
        return 0
    end
    redis.call("ZREM", crewcall .. "eta:" .. queue, id)
    -- An id without its message is dropped by who fetches it.
    if redis.call("LLEN", delayed) <= LONGEST then
        redis.call("LREM", delayed, -1, id)
    end
    return 1
end

if state == "ready" then
    return remove_ready()
elseif state == "delayed" then
    return remove_delayed()
elseif state == "dead" then
    redis.call("ZREM", name .. ".XQ", id)
    return redis.call("HDEL", name .. ".XQ.msgs", id)
end
redis.call("ZREM", crewcall .. "completed:" .. queue, id)
return redis.call("HDEL", crewcall .. "records:" .. queue, id)
