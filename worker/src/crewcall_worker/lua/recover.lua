-- Take one worker for dead: what it had fetched and not acknowledged goes back to the head of its queues, the oldest
-- first, and the worker is fenced. Doing it again changes nothing.
-- ARGV: namespace, pool, worker, limit (a message that has killed so many workers becomes a dead letter),
-- silent_ms (only if its record has not changed for so long, or where it has none, its heartbeat has not; 0: in any
-- case). Of a record that nobody here understands the worker's queues are those of the registry.
-- Answers {messages given back, "<queue> <id>" of each dead letter ...}, or {-1} where the worker is not that silent.
--
-- Which of the messages was the killer? When a worker dies with one for the first time, all it held are suspects with
-- count 1, for any may have been running. From then on a worker marks a suspect in `started:<worker>` before it runs
-- it: a later death counts for those only. So a message that was merely prefetched next to a killer never gets far.
-- The death that would make a dead letter counts only for the one suspect that had begun: workers run a message that
-- is one death short of the limit alone (see solitude.py), so that the killer is told from long jobs beside it.
--
-- The order is by what is in the messages, of Dramatiq's JSONEncoder and PickleEncoder. Of others nobody can tell: the
-- set of what a worker holds has no order, so they come back before the rest, by their ids.

local namespace, pool, worker = ARGV[1], ARGV[2], ARGV[3]
local limit, silent_ms = tonumber(ARGV[4]), tonumber(ARGV[5])
local crewcall = "crewcall:" .. namespace .. ":"
local workers, fenced = crewcall .. "workers:" .. pool, crewcall .. "fenced:" .. pool
local started, plain = crewcall .. "started:" .. worker, crewcall .. "plain:" .. pool
local FENCED_FOR_MS = 86400000

local END = 16384 -- bytes of a message searched for its options: a traceback takes some 5,000
local LARGEST = 262144 -- bytes: HGET of more would hold up the server

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function decoded(text)
    local is_json, value = pcall(cjson.decode, text)
    return is_json and type(value) == "table" and value or {}
end

local record = decoded(redis.call("HGET", workers, worker) or "")
if silent_ms > 0 then
    local at_ms = record.at_ms
    if at_ms == nil then
        -- Its heartbeat is by its own clock, which may be wrong: it is silent while that does not move (sweep_plain).
        local beat, since_ms = string.match(redis.call("HGET", plain, worker) or "", "^(%S+) (%d+)$")
        at_ms = beat == redis.call("ZSCORE", namespace .. ":__heartbeats__", worker) and tonumber(since_ms)
    end
    -- A time to come is that of a clock before a failover: no less silent than one gone by.
    if type(at_ms) ~= "number" or math.abs(now - at_ms) < silent_ms then
        return {-1}
    end
end

-- The number behind the last such name in a pickle, which has it as a LONG1 (or BININT*), maybe after a MEMOIZE or
-- BINPUT (docs.python.org/3/library/pickletools.html).
local WIDTHS = {J = 4, K = 1, M = 2}
local function pickled(tail, name)
    local number
    for code, bytes in string.gmatch(tail, name .. "[\148q]?.?([JKM\138])(.?.?.?.?.?.?.?.?.?)") do
        local width = WIDTHS[code] or string.byte(bytes)
        local first = WIDTHS[code] and 1 or 2
        number = 0
        for place = width, 1, -1 do
            number = number * 256 + (string.byte(bytes, first + place - 1) or 0)
        end
    end
    return number
end

-- When a job became ready, or was first sent, from the end of the message as Dramatiq encodes it. Arguments come
-- before the options, so the last one found is the message's own.
local function age_key(text)
    local tail, ready_at = string.sub(text, -END), nil
    if string.byte(text) == 128 then -- PROTO: no JSON begins so
        return pickled(tail, "ready_at") or pickled(tail, "message_timestamp") or 0
    end
    for digits in string.gmatch(tail, '"ready_at":%s*(%d+)') do
        ready_at = digits
    end
    return tonumber(ready_at or string.match(tail, '"message_timestamp":%s*(%d+)%s*}$')) or 0
end

-- The message with a reason in its options, by insertion: to decode and encode all of it would turn [] into {}.
local function with_reason(text, id, reason)
    local OPTIONS, start, found = '"options":{', nil, nil
    start = string.find(text, OPTIONS, -END, true)
    while start do
        local options = decoded("{" .. string.sub(text, start)).options
        if type(options) == "table" and options.redis_message_id == id then
            found = {start + #OPTIONS, options}
        end
        start = string.find(text, OPTIONS, start + 1, true)
    end
    if not found then
        return text
    end
    local added = '"crewcall_dead_reason":' .. cjson.encode(reason) .. ","
    if found[2].traceback == nil then
        added = added .. '"traceback":' .. cjson.encode(reason) .. ","
    end
    return string.sub(text, 1, found[1] - 1) .. added .. string.sub(text, found[1])
end

local suspects_begun = 0

local function deaths(queue, id)
    local before = tonumber(redis.call("HGET", crewcall .. "kills:" .. queue, id))
    if before and redis.call("SISMEMBER", started, id) == 0 then
        return before
    end
    redis.call("HINCRBY", crewcall .. "deliveries:" .. queue, id, 1)
    if before and before + 1 >= limit and suspects_begun > 1 then
        return before
    end
    return redis.call("HINCRBY", crewcall .. "kills:" .. queue, id, 1)
end

local function bury(queue, id, count)
    local full_name = namespace .. ":" .. queue
    local text = redis.call("HGET", full_name .. ".msgs", id)
    if #text <= LARGEST then
        local reason = string.format("Crewcall: %d workers were killed while they ran this job, so it is not run again. "
            .. "The last was %s in %s.", count, worker, type(record.pod) == "string" and record.pod or "an unknown pod")
        text = with_reason(text, id, reason)
    end
    redis.call("ZADD", full_name .. ".XQ", now, id)
    redis.call("HSET", full_name .. ".XQ.msgs", id, text)
    redis.call("HDEL", full_name .. ".msgs", id)
    redis.call("HDEL", crewcall .. "kills:" .. queue, id)
    redis.call("HDEL", crewcall .. "deliveries:" .. queue, id)
end

local answer = {0}

local function give_back(queue, is_delayed)
    local name = is_delayed and queue .. ".DQ" or queue
    local full_name = namespace .. ":" .. name
    local acks = namespace .. ":__acks__." .. worker .. "." .. name
    local found = {}
    for _, id in ipairs(redis.call("SMEMBERS", acks)) do
        local size = redis.call("HSTRLEN", full_name .. ".msgs", id)
        if size > 0 then
            -- Delayed messages are put in order by their ETA, and kill nobody.
            local count = is_delayed and 0 or deaths(queue, id)
            if count >= limit then
                bury(queue, id, count)
                answer[#answer + 1] = queue .. " " .. id
            else
                local is_read = not is_delayed and size <= LARGEST
                found[#found + 1] = {id, is_read and age_key(redis.call("HGET", full_name .. ".msgs", id)) or 0}
            end
        end
    end
    table.sort(found, function(a, b) -- within a millisecond by the id: producers with the runtime make ordered ones
        if a[2] ~= b[2] then
            return a[2] > b[2]
        end
        return a[1] > b[1]
    end)
    for _, item in ipairs(found) do
        redis.call("LPUSH", full_name, item[1]) -- the youngest first: the oldest ends at the head
    end
    redis.call("DEL", acks)
    answer[1] = answer[1] + #found
end

redis.call("HDEL", workers, "") -- for a full Redis, see wire/scripts.py
local queues = {}
for _, queue in ipairs(redis.call("SMEMBERS", crewcall .. "queues")) do
    queues[queue] = true
end
for _, queue in ipairs(type(record.queues) == "table" and record.queues or {}) do
    if type(queue) == "string" then
        queues[queue] = true
    end
end
for queue in pairs(queues) do
    suspects_begun = suspects_begun + #redis.call("SINTER", namespace .. ":__acks__." .. worker .. "." .. queue, started)
end
for queue in pairs(queues) do
    give_back(queue, false)
    give_back(queue, true)
end

redis.call("DEL", started)
redis.call("HDEL", workers, worker)
redis.call("HDEL", plain, worker)
redis.call("HDEL", crewcall .. "asked:" .. pool, worker)
redis.call("ZREM", namespace .. ":__heartbeats__", worker)
redis.call("ZADD", fenced, "NX", now, worker)
redis.call("ZREMRANGEBYSCORE", fenced, "-inf", now - FENCED_FOR_MS)
return answer
