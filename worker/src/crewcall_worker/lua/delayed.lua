-- What is delayed in some queues, and when is it due? Reads only.
-- ARGV: namespace, horizon_ms, at_most (messages without an index entry to read in one go), then for each queue its
-- plain name and the cursor of the last answer ("0" at first).
-- Answers for each queue {indexed, the first ETA (ms, -1 if none), due within the horizon, not indexed, of these: the
-- first ETA among those read now (-1), due among them, how many were read, the next cursor ("0": all have been read)}.
-- "Within the horizon" is until now + horizon_ms on Redis's clock. Messages of plain producers are not indexed: a scan
-- goes through them `at_most` at a time.

local namespace, horizon_ms, at_most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local crewcall = "crewcall:" .. namespace .. ":"
local CHECKED = 200 -- of the first index entries, whether the message is there still
local END, LARGEST = 16384, 262144 -- bytes, as in recover.lua

local time = redis.call("TIME")
local horizon = time[1] * 1000 + math.floor(time[2] / 1000) + horizon_ms

-- {indexed, first, due}: plain workers leave stale entries behind; they are the first ones, for they were due.
local function indexed(queue, messages)
    local eta = crewcall .. "eta:" .. queue
    local first, stale, stale_due = -1, 0, 0
    local entries = redis.call("ZRANGE", eta, 0, CHECKED - 1, "WITHSCORES")
    for i = 1, #entries, 2 do
        local due_ms = tonumber(entries[i + 1])
        if redis.call("HEXISTS", messages, entries[i]) == 0 then
            stale = stale + 1
            stale_due = stale_due + (due_ms <= horizon and 1 or 0)
        elseif first == -1 then
            first = due_ms
        end
    end
    local held = redis.call("HLEN", messages)
    local count = math.min(redis.call("ZCARD", eta) - stale, held)
    local due = math.min(redis.call("ZCOUNT", eta, "-inf", horizon) - stale_due, held)
    return count, first, due, held - count
end

local function eta_in(messages, id)
    if redis.call("HSTRLEN", messages, id) > LARGEST then
        return nil
    end
    local text, found = redis.call("HGET", messages, id), nil
    -- Arguments come before the options, so the last one is the message's own.
    for digits in string.gmatch(string.sub(text or "", -END), '"eta":%s*(%d+)') do
        found = digits
    end
    return tonumber(found)
end

local function scan(messages, cursor)
    local is_known, page = pcall(redis.call, "HSCAN", messages, cursor, "COUNT", at_most, "NOVALUES")
    local step = 1
    if not is_known or page.err then -- before Redis 7.4 it sends the values as well
        page, step = redis.call("HSCAN", messages, cursor, "COUNT", at_most), 2
    end
    return page[1], page[2], step
end

local function look(queue, cursor)
    local messages = namespace .. ":" .. queue .. ".DQ.msgs"
    local count, first, due, others = indexed(queue, messages)
    if others <= 0 then
        return {count, first, due, 0, -1, 0, 0, "0"}
    end
    local found_first, found_due, read = -1, 0, 0
    local next_cursor, ids, step = scan(messages, cursor)
    for i = 1, #ids, step do
        if not redis.call("ZSCORE", crewcall .. "eta:" .. queue, ids[i]) then
            local due_ms = eta_in(messages, ids[i])
            read = read + 1
            if due_ms then
                found_first = found_first == -1 and due_ms or math.min(found_first, due_ms)
                found_due = found_due + (due_ms <= horizon and 1 or 0)
            end
        end
    end
    return {count, first, due, others, found_first, found_due, read, next_cursor}
end

local answer = {}
for i = 4, #ARGV, 2 do
    answer[#answer + 1] = look(ARGV[i], ARGV[i + 1])
end
return answer
