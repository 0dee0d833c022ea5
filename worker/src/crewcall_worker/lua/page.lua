-- One page of a queue's jobs in one state. Reads only, and no more than a page: nothing here walks through a queue.
-- ARGV: namespace, queue, state (ready, running, delayed, completed, dead), cursor ("" at first), how many, and for
-- ready ones of one organisation, its id ("" for all).
-- Answers {the next cursor, "" where this was the last page; then for each job its id, its text, when (ms, "" if that is
-- in the text), its worker}. The text is a message, of completed jobs a record; "" where it is too large to read.
--
-- A cursor is the place of the last job of a page: where it was in a list; of a sorted set its score and its id, so that
-- jobs that come or go meanwhile move nothing. In a list they do: a page may repeat some, or leave some out.

local namespace, queue, state, cursor, most, organization = unpack(ARGV)
most = tonumber(most)
local crewcall, name = "crewcall:" .. namespace .. ":", namespace .. ":" .. queue
local LARGEST = 65536 -- bytes
local PRIORITIES = 9

local answer = {""}
local jobs = {}

local function add(id, at, worker)
    jobs[#jobs + 1] = {id = id, at = at, worker = worker}
end

-- Texts are asked for all at once, which takes Redis half as long as one by one.
local function tell(hash)
    local told, ids = {}, {}
    for _, job in ipairs(jobs) do
        local size = redis.call("HSTRLEN", hash, job.id)
        if size > 0 then -- else it is gone, or was never there: an id without its message
            told[#told + 1] = job
            if size <= LARGEST then
                ids[#ids + 1] = job.id
                job.place = #ids
            end
        end
    end
    local texts = #ids > 0 and redis.call("HMGET", hash, unpack(ids)) or {}
    for _, job in ipairs(told) do
        for _, value in ipairs({job.id, job.place and texts[job.place] or "", job.at, job.worker}) do
            answer[#answer + 1] = value
        end
    end
end

-- Ids of a sorted set behind the cursor, with their scores; and the cursor behind them.
local function of_set(key, place, is_descending, wanted)
    local first = 0
    local score, last = string.match(place, "^(%S+) (.+)$")
    if score then
        local rank = redis.call(is_descending and "ZREVRANK" or "ZRANK", key, last)
        if rank and tonumber(redis.call("ZSCORE", key, last)) == tonumber(score) then
            first = rank + 1
        elseif is_descending then
            first = redis.call("ZCOUNT", key, "(" .. score, "+inf")
        else
            first = redis.call("ZCOUNT", key, "-inf", "(" .. score)
        end
    end
    local found = redis.call(is_descending and "ZREVRANGE" or "ZRANGE", key, first, first + wanted - 1, "WITHSCORES")
    local following = #found == 2 * wanted and found[#found] .. " " .. found[#found - 1] or ""
    return found, following
end

local function page_of_set(key, hash, is_descending)
    local found, following = of_set(key, cursor, is_descending, most)
    for i = 1, #found, 2 do
        add(found[i], found[i + 1], "")
    end
    answer[1] = following
    tell(hash)
end

local function page_of_running()
    local found, following = of_set(crewcall .. "running:" .. queue, cursor, false, most)
    for i = 1, #found, 2 do
        local worker = redis.call("HGET", crewcall .. "runners:" .. queue, found[i]) or ""
        -- A dead worker's is another's by now, or waits to be.
        if redis.call("SISMEMBER", namespace .. ":__acks__." .. worker .. "." .. queue, found[i]) == 1 then
            add(found[i], found[i + 1], worker)
        end
    end
    answer[1] = following
    tell(name .. ".msgs")
end

-- The head, then what waits in lanes: of one organisation lane by lane, of all in the order of their age.
local function page_of_ready()
    local source, place = string.match(cursor, "^(%d+)/(.*)$")
    source, place = tonumber(source or 0), place or ""
    local left = most
    local last = organization == "" and 1 or PRIORITIES + 1
    while left > 0 and source <= last do
        local is_set = organization == "" and source == 1
        if is_set then
            local found
            found, place = of_set(crewcall .. "waiting:" .. queue, place, false, left)
            for i = 1, #found, 2 do
                add(found[i], found[i + 1], "")
            end
            left = left - #found / 2
            if place == "" then
                source = source + 1
            end
        else
            local key = source == 0 and name
                or crewcall .. "lane:" .. queue .. ":" .. (source - 1) .. ":" .. organization
            local first = tonumber(place) or 0
            local found = redis.call("LRANGE", key, first, first + left - 1)
            for _, id in ipairs(found) do
                add(id, "", "")
            end
            if #found < left then
                source, place = source + 1, ""
            else
                place = tostring(first + #found)
            end
            left = left - #found
        end
    end
    answer[1] = source <= last and source .. "/" .. place or ""
    tell(name .. ".msgs")
end

if state == "ready" then
    page_of_ready()
elseif state == "running" then
    page_of_running()
elseif state == "delayed" then
    page_of_set(crewcall .. "eta:" .. queue, name .. ".DQ.msgs", false)
elseif state == "completed" then
    page_of_set(crewcall .. "completed:" .. queue, crewcall .. "records:" .. queue, true)
else
    page_of_set(name .. ".XQ", name .. ".XQ.msgs", true)
end
return answer
