-- May a job start now, or when is its turn? The generic cell rate algorithm (ITU-T I.371), with turns given out ahead.
-- Starts are `interval` apart, but for bursts of so many, and that holds whatever becomes of those that wait: a turn is a
-- time to come again, not a right to start. Who comes back is up to `TOLERANCE` before or behind his turn, for it takes
-- a moment to get there; that much, twice, is what any two starts may be closer than they should.
--
-- Times are in microseconds. `next`: when the next start would be due if there were no bursts; with them, there is room
-- for one by so much earlier. `line`, of each organisation: the first turn that none of its jobs has. Who comes anew
-- gets it while others of its own wait, so that these start in the order in which they came; other organisations' turns
-- keep nobody waiting. `late`: the first turn that nobody has of those who came back and found their place taken. These
-- wait for the next room there is, not behind all others; and as long as there are any, who comes back for the first time
-- goes behind them. So organisations with turns at the same times start by turns.
--
-- Turns of jobs that never come back (deleted ones, or their workers sleep) would keep others waiting. So who comes anew
-- starts all the same where there has been room for `SLACK`, in which somebody should have come.
--
-- KEYS: the rate's, the line's    ARGV: interval (us), burst, how many turns it was told by now, the time (us; "" for
-- Redis's). Answers 0 where it may start, which is noted; else its turn, in ms, rounded up.
local interval, burst, told, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local TOLERANCE, SLACK = 200000, 1000000
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

redis.call('HDEL', KEYS[1], '') -- for a full Redis, see wire/scripts.py
local known = redis.call('HMGET', KEYS[1], 'next', 'late')
local following, late = tonumber(known[1]) or 0, tonumber(known[2]) or 0
local line = told == 0 and tonumber(redis.call('GET', KEYS[2])) or 0
local room = following - (burst - 1) * interval
local turn = 0

local function kept_until(time)
  return math.ceil((time - now + SLACK) / 1000)
end

if told > 0 then
  if room - TOLERANCE > now or (told == 1 and late > now) then
    turn = math.max(late, room)
    late = turn + interval
  end
elseif room > now or (line > now and room > now - math.max(SLACK, interval)) then
  turn = math.max(line, late, room)
  line = turn + interval
  redis.call('SET', KEYS[2], string.format('%.0f', line), 'PX', kept_until(line))
end
if turn == 0 then
  following = math.max(following, told > 0 and now - TOLERANCE or now) + interval
end

redis.call('HSET', KEYS[1], 'next', string.format('%.0f', following), 'late', string.format('%.0f', late))
redis.call('PEXPIRE', KEYS[1], math.max(1, kept_until(math.max(following, late))))
return math.ceil(turn / 1000)
