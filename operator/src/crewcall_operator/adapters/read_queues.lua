-- One look at the queues ARGV = "<namespace>:<queue>", ... of Dramatiq. Reads only; never Dramatiq's own script,
-- for which every caller is a worker.
--
-- Answers with one line for each queue, in order (a text: cheaper on both sides than an array of arrays):
--   "ready held delayed dead time": jobs, `held` being ready and unacked ones; `time` (Unix ms) is when the first
--   ready job became ready, -1 where there is none or it cannot be told
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

local function look(queue)
    local ready = redis.call("LLEN", queue)
    local held = redis.call("HLEN", queue .. ".msgs")
    local delayed = redis.call("HLEN", queue .. ".DQ.msgs")
    local dead = redis.call("ZCARD", queue .. ".XQ")
    local time = ready > 0 and oldest(queue) or -1
    return string.format("%d %d %d %d %.0f", ready, held, delayed, dead, time)
end

local lines = {}
for i, queue in ipairs(ARGV) do
    local looked, line = pcall(look, queue)
    if not looked then
        local why = type(line) == "table" and line.err or tostring(line) -- a text before Redis 7
        line = "-" .. string.gsub(why, "%s+", " ")
    end
    lines[i] = line
end
return table.concat(lines, "\n")
