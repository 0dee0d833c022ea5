-- Put messages into their queues: what Dramatiq's own enqueue does, and what Crewcall knows of each, in one step.
-- ARGV: namespace, what is told of the messages, then the messages. Told of each, in one JSON array of arrays, is:
-- queue (plain), its id in Redis, ETA (ms, "" without a delay), the worker and the delayed id that this message is the
-- promotion of ("" and "" if of none; without a worker it is the id of the dead letter that is tried anew, and with "."
-- for one that of a delayed message that somebody would not wait for), whether to enter the queue in the registry,
-- whether to publish a hint if the queue was empty, its lane ("" for Dramatiq's list) and the organisation of that (""
-- for none), when it is ready (ms), the key by which it is told from its like ("" for
-- none), the job's id, how long that key stands (ms), and whether a full Redis is to take it as well: what follows from a
-- job that was fetched, such as a retry, makes room in the end; a new job does not.
-- Answers, as JSON, {now (ms), for each message 1 if a hint was published, 0 if not, -1 if there was nothing to promote
-- or revive, or the id of the job that it would be a duplicate of}.

local namespace = ARGV[1]
local crewcall = "crewcall:" .. namespace .. ":"
local TURNS = 1000000000000 -- as in wire/lanes.py
local DAY, KEPT = 86400000, 2764800000 -- ms: counts of organisations are kept for 32 days
local LONGEST = 300000 -- entries of a list to look through, at some 30 million a second

local ASKED_AGAIN_WITHIN = 10000 -- ms: connecting and asking, twice; see queues/connection.py

local is_again = false -- whether a producer that lost the answer asks once more

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function take_promoted(queue, worker, promoted)
    local delayed = namespace .. ":" .. queue .. ".DQ"
    -- Not ours any more: it was promoted before, or given to another worker when this one was taken for dead.
    if redis.call("SREM", namespace .. ":__acks__." .. worker .. "." .. queue .. ".DQ", promoted) == 0 then
        return false
    end
    redis.call("ZREM", crewcall .. "eta:" .. queue, promoted)
    return redis.call("HDEL", delayed .. ".msgs", promoted) == 1
end

-- A worker may have it in its memory as well, and will find that it is gone.
local function take_delayed(queue, id)
    local delayed = namespace .. ":" .. queue .. ".DQ"
    if redis.call("HDEL", delayed .. ".msgs", id) == 0 then
        return false
    end
    redis.call("ZREM", crewcall .. "eta:" .. queue, id)
    if redis.call("LLEN", delayed) <= LONGEST then -- else it stays, and is dropped by who fetches it
        redis.call("LREM", delayed, -1, id)
    end
    return true
end

local function take_dead(queue, id)
    local dead = namespace .. ":" .. queue .. ".XQ"
    return redis.call("ZREM", dead, id) == 1 and redis.call("HDEL", dead .. ".msgs", id) == 1
end

-- A lane that comes anew has its turn after all others of its priority: nobody gains by emptying it time and again.
-- Answers whether nothing waited in the lane before.
local function join(queue, lane, organization, id, ready_at)
    redis.call("ZADD", crewcall .. "waiting:" .. queue, ready_at, id)
    local was_empty = redis.call("RPUSH", crewcall .. "lane:" .. queue .. ":" .. lane, id) == 1
    if was_empty then
        local lanes, first = crewcall .. "lanes:" .. queue, string.match(lane, "^%d+") * TURNS
        local last = redis.call("ZREVRANGEBYSCORE", lanes, first + TURNS - 1, first, "WITHSCORES", "LIMIT", 0, 1)
        redis.call("ZADD", lanes, last[2] and last[2] + 1 or first, lane)
    end
    if redis.call("EXISTS", crewcall .. "limits:" .. queue) == 1 and LIMITS.of(crewcall, queue, organization) then
        LIMITS.refresh(crewcall, queue, organization)
    end
    return was_empty
end

-- A new job, not a retry. See `queues/organizations.py`.
local function count(organization, queue)
    local key = crewcall .. "organization:" .. organization .. ":" .. math.floor(now / DAY)
    if redis.call("HINCRBY", key, queue .. ".enqueued", 1) == 1 then
        redis.call("PEXPIRE", key, KEPT)
    end
end

local function enqueue(head, message)
    local queue, id, eta, worker, promoted, may_register, may_hint, lane, organization, ready_at,
        like, job, like_for, is_bound = unpack(head)
    if is_bound then
        redis.call("SREM", crewcall .. "queues", "") -- for a full Redis, see wire/scripts.py
    end
    if promoted ~= "" then
        local is_taken
        if worker == "" then
            is_taken = take_dead(queue, promoted)
        elseif worker == "." then
            is_taken = take_delayed(queue, promoted)
        else
            is_taken = take_promoted(queue, worker, promoted)
        end
        if not is_taken then
            return -1
        end
    end
    if may_register then
        redis.call("SADD", crewcall .. "queues", queue)
    end
    if like ~= "" then
        local key = crewcall .. "dedupe:" .. queue .. ":" .. like
        local first = redis.call("GET", key)
        if first then
            return first ~= job and first or 0
        elseif not is_again then
            redis.call("SET", key, job, "PX", like_for)
        end
    end
    if is_again then
        return 0
    end

    local name = eta == "" and queue or queue .. ".DQ"
    local full_name = namespace .. ":" .. name
    -- The try before is not acknowledged yet, and would take this one with it when it is.
    if promoted ~= "" and redis.call("HEXISTS", full_name .. ".msgs", id) == 1 then
        id = string.format("%s~%.0f", id, now)
    end
    -- Of a retry as well the answer may be lost: the second time it is there already.
    if redis.call("HSETNX", full_name .. ".msgs", id, message) == 0 then
        return 0
    end
    if organization ~= "" and promoted == "" and id == job then
        count(organization, queue)
    end
    local is_first
    if eta ~= "" then
        is_first = redis.call("RPUSH", full_name, id) == 1
        redis.call("ZADD", crewcall .. "eta:" .. queue, eta, id)
    else
        if lane == "" then
            is_first = redis.call("RPUSH", full_name, id) == 1
        else
            is_first = join(queue, lane, organization, id, ready_at)
                and may_hint and redis.call("ZCARD", crewcall .. "waiting:" .. queue) == 1
        end
        redis.call("HINCRBY", crewcall .. "stats:" .. queue, "enqueued", 1)
    end
    if is_first and may_hint then
        redis.call("PUBLISH", crewcall .. "hints", name)
        return 1
    end
    return 0
end

local answer = {now}
local heads = cjson.decode(ARGV[2])
local promoted, is_bound = heads[1][5], heads[1][14]
if promoted == "" and not is_bound then
    is_again = not redis.call("SET", crewcall .. "sent:" .. heads[1][2], "", "NX", "PX", ASKED_AGAIN_WITHIN)
end
for place, head in ipairs(heads) do
    answer[#answer + 1] = enqueue(head, ARGV[place + 2])
end
return cjson.encode(answer)
