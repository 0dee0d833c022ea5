-- Find one job by its id. Reads only.
-- ARGV: namespace, the job's id, which of its tries are looked for, from the first to the last retry (0: the first try);
-- then the queues to look in (none: all of the registry).
-- Answers {state, queue, id, text, when (ms, "" if that is in the text), worker}; nothing where there is none.

local namespace, job, first, last = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local crewcall = "crewcall:" .. namespace .. ":"
local LARGEST = 65536 -- bytes

local queues = {}
for i = 5, #ARGV do
    queues[#queues + 1] = ARGV[i]
end
if #queues == 0 then
    queues = redis.call("SMEMBERS", crewcall .. "queues")
end

-- A retry is another message: its id is the job's, and which retry it is.
local ids = {}
for try = first, last do
    ids[#ids + 1] = try == 0 and job or job .. "." .. try
end

local function found(state, queue, hash, id, at, worker)
    local text = redis.call("HSTRLEN", hash, id) <= LARGEST and redis.call("HGET", hash, id) or ""
    return {state, queue, id, text, at or "", worker or ""}
end

local function outstanding(queue, hash, id)
    local worker = redis.call("HGET", crewcall .. "runners:" .. queue, id)
    if worker and redis.call("SISMEMBER", namespace .. ":__acks__." .. worker .. "." .. queue, id) == 1 then
        return found("running", queue, hash, id, redis.call("ZSCORE", crewcall .. "running:" .. queue, id), worker)
    end
    local ready_at = redis.call("ZSCORE", crewcall .. "waiting:" .. queue, id)
    if ready_at then
        return found("ready", queue, hash, id, ready_at)
    end
    -- In Dramatiq's list, which may be too long to look through, or with a worker that has not begun it.
    local list, most = namespace .. ":" .. queue, 1000
    if redis.call("LPOS", list, id, "MAXLEN", most) then
        return found("ready", queue, hash, id)
    end
    for _, acker in ipairs(redis.call("ZREVRANGE", namespace .. ":__heartbeats__", 0, 4999)) do
        if redis.call("SISMEMBER", namespace .. ":__acks__." .. acker .. "." .. queue, id) == 1 then
            return found("fetched", queue, hash, id)
        end
    end
    return found(redis.call("LLEN", list) > most and "ready" or "fetched", queue, hash, id)
end

-- The last of the ids that is in a hash. All are asked for at once: of a hundred queues one by one would take 20 ms.
local function last_in(hash)
    local texts = redis.call("HMGET", hash, unpack(ids))
    for i = #ids, 1, -1 do
        if texts[i] then
            return i
        end
    end
    return 0
end

for _, queue in ipairs(queues) do
    local name = namespace .. ":" .. queue
    local ready, delayed, dead = last_in(name .. ".msgs"), last_in(name .. ".DQ.msgs"), last_in(name .. ".XQ.msgs")
    local last = math.max(ready, delayed, dead)
    local id = ids[last]
    if last > 0 and last == ready then
        return outstanding(queue, name .. ".msgs", id)
    end
    if last > 0 and last == delayed then
        local due = redis.call("ZSCORE", crewcall .. "eta:" .. queue, id)
        return found("delayed", queue, name .. ".DQ.msgs", id, due)
    end
    if last > 0 then
        return found("dead", queue, name .. ".XQ.msgs", id, redis.call("ZSCORE", name .. ".XQ", id))
    end
    local records = crewcall .. "records:" .. queue
    if redis.call("HEXISTS", records, job) == 1 then
        return found("completed", queue, records, job, redis.call("ZSCORE", crewcall .. "completed:" .. queue, job))
    end
end
return {}
