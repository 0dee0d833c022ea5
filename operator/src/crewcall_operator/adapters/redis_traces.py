"""Reads what jobs take from a pool that runs: asks its workers for it, and takes what they wrote.

What is asked where, and what is written, is at the head of `crewcall_worker.wire`.
"""

from __future__ import annotations

from dataclasses import dataclass

from crewcall_operator.adapters.redis_link import Call
from crewcall_operator.adapters.redis_links import RedisLinks
from crewcall_operator.adapters.redis_sources import URLS_ONLY
from crewcall_operator.api.pool import Pool
from crewcall_operator.errors import QueueUnavailable
from crewcall_worker import wire

_TAKE = """
-- ARGV: the channel of recordings, then for each queue its name, its trace and its counters.
-- Answers with the time in ms, and for each queue the jobs enqueued since ever, then its rows.
local now = redis.call("TIME")
local answer = {now[1] * 1000 + math.floor(now[2] / 1000)}
for i = 2, #ARGV, 3 do
    redis.call("PUBLISH", ARGV[1], ARGV[i])
    local rows = redis.call("LRANGE", ARGV[i + 1], 0, -1)
    redis.call("DEL", ARGV[i + 1])
    answer[#answer + 1] = {tonumber(redis.call("HGET", ARGV[i + 2], "enqueued") or "0"), rows}
end
return answer
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was there by `now_ms`, on Redis's clock: `runs` as (ready, duration) in ms, `arrived` jobs since ever.

    Where `is_cut`, there were more runs than Redis keeps.
    """

    now_ms: int
    runs: tuple[tuple[int, int], ...]
    arrived: int
    is_cut: bool


class RedisTraces:
    """One connection, opened with the first call."""

    def __init__(self, timeout: float = 5.0) -> None:
        """`timeout` in seconds, for each call."""
        self._links = RedisLinks(timeout, URLS_ONLY, writes=True)

    async def take(self, pool: Pool) -> Taken:
        """Ask for more, and take what has ended since the last time. Raises `QueueUnavailable`."""
        keys = wire.Keys(pool.redis.namespace)
        names = [queue.name for queue in pool.policy.queues]
        arguments = [keys.recording, *(it for name in names for it in (name, keys.trace(name), keys.stats(name)))]
        link = await self._links.to(pool.redis)
        (answer,) = await link.run([Call(_TAKE, arguments)])
        if isinstance(answer, QueueUnavailable):
            raise answer
        now_ms, *queues = answer
        rows = [row for _, of_queue in queues for row in of_queue]
        return Taken(
            now_ms,
            tuple(wire.read_run(row) for row in rows),
            sum(arrived for arrived, _ in queues),
            is_cut=any(len(of_queue) >= wire.MOST_TRACED for _, of_queue in queues),
        )

    async def aclose(self) -> None:
        """Close the connection."""
        await self._links.aclose()
