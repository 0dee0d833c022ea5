-- Give messages back to the head of their queue, in the order of the ids: as if they had never been fetched. Leaves
-- alone what is no longer this worker's. With a fourth key, each counts there as a delivery that was not finished.
-- Returns how many went back.
--
-- KEYS: acks, list, messages [, deliveries]    ARGV: ids, the one that is to be next first
local given = 0
for i = #ARGV, 1, -1 do
  local id = ARGV[i]
  if redis.call('SREM', KEYS[1], id) == 1 and redis.call('HEXISTS', KEYS[3], id) == 1 then
    redis.call('LPUSH', KEYS[2], id)
    if KEYS[4] then
      redis.call('HINCRBY', KEYS[4], id, 1)
    end
    given = given + 1
  end
end
return given
