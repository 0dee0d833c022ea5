-- May a job start now, or when is its turn? The generic cell rate algorithm (ITU-T I.371), with turns given out ahead.
-- Starts are `interval` apart, but for bursts of so many, and that holds whatever becomes of those that wait: a turn is a
-- time to come again, not a right to start. Who comes back is up to `TOLERANCE` before or behind his turn, for it takes
-- a moment to get there; that much, twice, is what any two starts may be closer than they should.
--
-- Of a limit three times are known, in microseconds. `next`: when the next start would be due if there were no bursts;
-- with them, there is room for one by so much earlier. `line`: the first turn that nobody has. Who comes anew gets it
-- while others wait, so that all start in the order in which they came. `late`: the same for those who come back and
-- find their place taken by one that was late: they wait for the next room there is, and not behind all others.
--
-- Turns of jobs that never come back (deleted ones, or their workers sleep) would keep everybody else waiting. So who
-- comes anew starts all the same where there has been room for `SLACK`, in which somebody should have come.
--
-- KEYS: the rate's    ARGV: interval (us), burst, "1" for one that was told a turn, the time (us; "" for Redis's)
-- Answers 0 where it may start, which is noted; else its turn, in ms, rounded up.
local interval, burst, had_turn, now = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
local TOLERANCE, SLACK = 200000, 1000000
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local known = redis.call('HMGET', KEYS[1], 'next', 'line', 'late')
local following, line, late = tonumber(known[1]) or 0, tonumber(known[2]) or 0, tonumber(known[3]) or 0
local room = following - (burst - 1) * interval
local turn = 0

if had_turn then
  if room - TOLERANCE > now then
    turn = math.max(late, room)
    late = turn + interval
  end
elseif room > now or (line > now and room > now - math.max(SLACK, interval)) then
  turn = math.max(line, late, room)
  line = turn + interval
end
if turn == 0 then
  following = math.max(following, had_turn and now - TOLERANCE or now) + interval
end

redis.call('HSET', KEYS[1], 'next', string.format('%.0f', following), 'line', string.format('%.0f', line),
  'late', string.format('%.0f', late))
redis.call('PEXPIRE', KEYS[1], math.ceil((math.max(following, line, late) - now + SLACK) / 1000))
return math.ceil(turn / 1000)
