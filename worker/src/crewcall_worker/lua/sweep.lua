-- Who of a pool's workers has been silent for too long? And away with what nobody else clears up.
-- ARGV: namespace, pool, lapse_ms, period_ms, dead_ttl_ms (where the workers were told nothing else), and queues to
-- enter in the registry.
-- Answers the ids of the lapsed workers; nothing where somebody else has looked within the period.
--
-- `sweep:<pool>` remembers when it was last looked (at_ms). If that is long ago, Redis was away, or everybody stood
-- still: then no record can be fresh, and nobody is lapsed until he has had the whole time again (since_ms).

local namespace, pool = ARGV[1], ARGV[2]
local lapse_ms, period_ms, dead_ttl_ms = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local crewcall = "crewcall:" .. namespace .. ":"
local sweep = crewcall .. "sweep:" .. pool
local PERIODS_OF_A_GAP = 3
local AT_MOST = 100 -- of one queue's leftovers in one go

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at_ms = tonumber(redis.call("HGET", sweep, "at_ms")) or 0
local since_ms = tonumber(redis.call("HGET", sweep, "since_ms")) or now
dead_ttl_ms = tonumber(redis.call("GET", crewcall .. "retention")) or dead_ttl_ms

redis.call("HDEL", sweep, "") -- for a full Redis, see wire/scripts.py
for i = 6, #ARGV do
    redis.call("SADD", crewcall .. "queues", ARGV[i])
end
local passed = math.abs(now - at_ms) -- a failover may bring another clock
if passed < period_ms then
    return {}
end
if passed > PERIODS_OF_A_GAP * period_ms then
    since_ms = now
end
redis.call("HSET", sweep, "at_ms", now, "since_ms", since_ms)

for _, queue in ipairs(redis.call("SMEMBERS", crewcall .. "queues")) do
    local full_name, eta = namespace .. ":" .. queue, crewcall .. "eta:" .. queue
    -- What a plain worker has promoted, or a purge removed, is in the index still.
    for _, id in ipairs(redis.call("ZRANGE", eta, 0, AT_MOST - 1)) do
        if redis.call("HEXISTS", full_name .. ".DQ.msgs", id) == 0 then
            redis.call("ZREM", eta, id)
        end
    end
    local expired = redis.call("ZRANGEBYSCORE", full_name .. ".XQ", "-inf", now - dead_ttl_ms, "LIMIT", 0, AT_MOST)
    for _, id in ipairs(expired) do
        redis.call("ZREM", full_name .. ".XQ", id)
        redis.call("HDEL", full_name .. ".XQ.msgs", id)
    end
end

local lapsed = {}
local records = redis.call("HGETALL", crewcall .. "workers:" .. pool)
for i = 1, #records, 2 do
    local is_json, record = pcall(cjson.decode, records[i + 1])
    if is_json and type(record) == "table" and type(record.at_ms) == "number" then
        if math.min(math.abs(now - record.at_ms), now - since_ms) >= lapse_ms then
            lapsed[#lapsed + 1] = records[i]
        end
    end
end
return lapsed
