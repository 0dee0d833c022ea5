-- One look at the queues ARGV = namespace, queue, namespace, queue ... of Dramatiq. Reads only; never Dramatiq's own
-- script, for which every caller is a worker.
--
-- Answers with one line for each queue, in order (a text: cheaper on both sides than an array of arrays):
--   "ready held delayed dead time limited paused": jobs, `held` being ready and unacked ones; `time` (Unix ms) is when
--   the first ready job became ready, -1 where there is none or it cannot be told; of the ready ones `limited` wait for
--   their organisation's limit; `paused` is 1 where nobody fetches from the queue
--   The same, and "|why": what Crewcall keeps of it could not be read, so these are the figures of Dramatiq's keys alone
--   "-why": this queue could not be read
-- No payload leaves the server.
--
-- A message as Dramatiq encodes it ends in ..."options":{...},"message_id":"...","message_timestamp":1}. Decoding
-- all of it would cost 50 ms for 1 MB of arguments, so only the end is decoded: "{" and all from "options" on is
-- valid JSON exactly where that "options" is the message's own, not one inside its arguments or a pipe's target.

local END = 16384 -- bytes searched for "options": a traceback kept by a retry takes some 5,000
local OPTIONS = '"options":{'
local LARGEST = 262144 -- bytes: HGET of more would hold up the server (0.8 ms for 1 MB, 15 ms for 10 MB)

local function is_time(value)
    return type(value) == "number" and value >= 0 and value < 1e15
end

local function time_in(text)
    local decoded, message = pcall(cjson.decode, text)
    if not decoded or type(message) ~= "table" then
        return nil
    end
    local options = message.options
    if type(options) == "table" and is_time(options.ready_at) then
        return options.ready_at
    end
    return is_time(message.message_timestamp) and message.message_timestamp or nil
end

local function ready_time(text)
    local starts = {}
    local start = string.find(text, OPTIONS, -END, true)
    while start do
        starts[#starts + 1] = start
        start = string.find(text, OPTIONS, start + 1, true)
    end
    for i = #starts, 1, -1 do
        local time = time_in("{" .. string.sub(text, starts[i]))
        if time then
            return time
        end
    end
    -- Another encoder's order or spacing: small messages are decoded whole.
    return #text <= END and time_in(text) or nil
end

local function oldest(queue)
    local id = redis.call("LINDEX", queue, 0)
    if not id or redis.call("HSTRLEN", queue .. ".msgs", id) > LARGEST then
        return -1
    end
    local text = redis.call("HGET", queue .. ".msgs", id)
    return text and ready_time(text) or -1
end

local any_paused = {} -- by namespace: whether any queue is, which is seldom so

local function is_paused(crewcall, name)
    if any_paused[crewcall] == nil then
        any_paused[crewcall] = redis.call("HLEN", crewcall .. "paused") > 0
    end
    return any_paused[crewcall] and redis.call("HEXISTS", crewcall .. "paused", name) == 1
end

-- {how many wait in lanes, since when the first of them, how many of them for a limit, 1 if the queue is paused}
local function beside(namespace, name)
    local crewcall = "crewcall:" .. namespace .. ":"
    local paused = is_paused(crewcall, name) and 1 or 0
    local count = redis.call("ZCARD", crewcall .. "waiting:" .. name)
    if count == 0 then
        return {0, -1, 0, paused}
    end
    local first = redis.call("ZRANGE", crewcall .. "waiting:" .. name, 0, 0, "WITHSCORES")
    local limited = tonumber(redis.call("HGET", crewcall .. "surplus:" .. name, "") or 0)
    return {count, tonumber(first[2]), limited, paused}
end

local function why(err)
    local words = type(err) == "table" and err.err or tostring(err) -- a text before Redis 7
    return (string.gsub(words, "%s+", " "))
end

local function look(namespace, name)
    local queue = namespace .. ":" .. name
    local ready = redis.call("LLEN", queue)
    local held = redis.call("HLEN", queue .. ".msgs")
    local delayed = redis.call("HLEN", queue .. ".DQ.msgs")
    local dead = redis.call("ZCARD", queue .. ".XQ")
    local time = ready > 0 and oldest(queue) or -1
    local looked, found = pcall(beside, namespace, name)
    local waiting, since, limited, paused = unpack(looked and found or {0, -1, 0, 0})
    if time < 0 and ready == 0 or since >= 0 and since < time then
        time = since
    end
    local line = string.format("%d %d %d %d %.0f %d %d", ready + waiting, held, delayed, dead, time, limited, paused)
    return looked and line or line .. "|" .. why(found)
end

local lines = {}
for i = 1, #ARGV, 2 do
    local looked, line = pcall(look, ARGV[i], ARGV[i + 1])
    lines[#lines + 1] = looked and line or "-" .. why(line)
end
return table.concat(lines, "\n")
