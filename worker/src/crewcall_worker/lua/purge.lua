-- Take some of a queue's jobs in one state out of it, for good, with all that is noted of them, the next ones first.
-- Asked again with what it answered it goes on, and comes to an end, whoever goes on sending: of ready and delayed ones
-- it takes as many as there were when it began, of the others those that were there then.
-- ARGV: namespace, queue (plain), state (ready, delayed, dead, completed), how many at most, and where the last answer
-- left off ("" three times at first): since when (ms), how many are left, the cursor of what is in no list.
-- Answers {removed, is there more (1 or 0), since when, how many are left, the cursor}.
--
-- In flight is left alone: its worker has it. So are the next ticks of schedules, which nobody would be woken for.

local namespace, queue, state, most, since, left, cursor = unpack(ARGV)
most, left = tonumber(most), tonumber(left)
local crewcall, name = "crewcall:" .. namespace .. ":", namespace .. ":" .. queue
local time = redis.call("TIME")
since = tonumber(since) or time[1] * 1000 + math.floor(time[2] / 1000)
local LARGEST = 65536 -- bytes of a message that is looked into
local removed, concerned = 0, {}

local function options_of(text)
    if not text or #text > LARGEST then
        return {}, nil
    end
    local is_json, message = pcall(cjson.decode, text)
    if not is_json or type(message) ~= "table" then
        return {}, nil
    end
    return type(message.options) == "table" and message.options or {}, message.message_timestamp
end

local function forget(hash, ids)
    if #ids > 0 then
        removed = removed + redis.call("HDEL", hash, unpack(ids))
        redis.call("HDEL", crewcall .. "kills:" .. queue, unpack(ids))
        redis.call("HDEL", crewcall .. "deliveries:" .. queue, unpack(ids))
    end
end

-- The first ids of a list, off it.
local function shift(list, wanted)
    local ids = wanted > 0 and redis.call("LRANGE", list, 0, wanted - 1) or {}
    if #ids > 0 then
        redis.call("LTRIM", list, #ids, -1)
        left, most = left - #ids, most - #ids
    end
    return ids
end

-- What came back to the head is noted as in flight, where its organisation has a limit.
local function release(ids)
    for _, id in ipairs(ids) do
        local organization = options_of(redis.call("HGET", name .. ".msgs", id)).organization_id
        if type(organization) == "string" then
            redis.call("SREM", crewcall .. "taken:" .. queue .. ":" .. organization, id)
            concerned[organization] = true
        end
    end
end

local function purge_lanes(lanes)
    while math.min(most, left) > 0 do
        local lane = redis.call("ZRANGE", lanes, 0, 0)[1]
        if not lane then
            return
        end
        local list = crewcall .. "lane:" .. queue .. ":" .. lane
        local ids = shift(list, math.min(most, left))
        if #ids > 0 then
            redis.call("ZREM", crewcall .. "waiting:" .. queue, unpack(ids))
            forget(name .. ".msgs", ids)
            concerned[string.match(lane, ":(.*)$")] = true
        else
            most = most - 1 -- a lane without its list costs something, too
        end
        if redis.call("EXISTS", list) == 0 then
            redis.call("ZREM", lanes, lane)
        end
    end
end

local function purge_ready()
    left = left or redis.call("LLEN", name) + redis.call("ZCARD", crewcall .. "waiting:" .. queue)
    local has_limits = redis.call("EXISTS", crewcall .. "limits:" .. queue) == 1
    local ids = shift(name, math.min(most, left))
    if has_limits then
        release(ids)
    end
    forget(name .. ".msgs", ids)
    purge_lanes(crewcall .. "lanes:" .. queue)
    purge_lanes(crewcall .. "full:" .. queue)
    if has_limits then
        for organization in pairs(concerned) do
            LIMITS.refresh(crewcall, queue, organization)
        end
    end
    return left > 0 and most <= 0
end

local function purge_delayed()
    local delayed, eta = name .. ".DQ", crewcall .. "eta:" .. queue
    local ticks = {}
    for _, plan in ipairs(redis.call("HVALS", crewcall .. "planned")) do
        local is_json, told = pcall(cjson.decode, plan)
        if is_json and type(told) == "table" and type(told.id) == "string" then
            ticks[told.id] = true
        end
    end
    local gone = {}
    if cursor == "" then
        left = left or redis.call("LLEN", delayed)
        for _, id in ipairs(shift(delayed, math.min(most, left))) do
            if ticks[id] then
                redis.call("RPUSH", delayed, id)
            else
                gone[#gone + 1] = id
            end
        end
        if #gone == 0 and most > 0 then
            left = 0
        end
        cursor = left > 0 and "" or "0"
    else
        -- What workers have in their memory is in no list.
        local page = redis.call("HSCAN", delayed .. ".msgs", cursor, "COUNT", most)
        for at = 1, #page[2], 2 do
            local _, sent = options_of(page[2][at + 1])
            if not ticks[page[2][at]] and (type(sent) ~= "number" or sent <= since) then
                gone[#gone + 1] = page[2][at]
            end
        end
        cursor = page[1] == "0" and "end" or page[1]
    end
    if #gone > 0 then
        redis.call("ZREM", eta, unpack(gone))
        forget(delayed .. ".msgs", gone)
    end
    return cursor ~= "end"
end

local function purge_set(set, hash)
    local ids = redis.call("ZRANGEBYSCORE", set, "-inf", string.format("%.0f", since), "LIMIT", 0, most)
    if #ids > 0 then
        removed = redis.call("ZREM", set, unpack(ids))
        redis.call("HDEL", hash, unpack(ids))
    end
    left = redis.call("ZCOUNT", set, "-inf", string.format("%.0f", since))
    return left > 0 and #ids > 0
end

local is_more
if state == "ready" then
    is_more = purge_ready()
elseif state == "delayed" then
    is_more = purge_delayed()
elseif state == "dead" then
    is_more = purge_set(name .. ".XQ", name .. ".XQ.msgs")
else
    is_more = purge_set(crewcall .. "completed:" .. queue, crewcall .. "records:" .. queue)
end
return {removed, is_more and 1 or 0, string.format("%.0f", since), tostring(left or ""), cursor}
