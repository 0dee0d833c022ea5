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
-- ARGV: the channel of recordings, for how many ms it holds what is said there; then for each queue its name, its
-- trace, its counters, its messages, and where it is noted that somebody records it.
-- Answers with the time in ms, and for each queue the jobs enqueued since ever, those not done, and its rows.
local now = redis.call("TIME")
local answer = {now[1] * 1000 + math.floor(now[2] / 1000)}
for i = 3, #ARGV, 5 do
    redis.call("SET", ARGV[i + 4], "1", "PX", ARGV[2])
    redis.call("PUBLISH", ARGV[1], ARGV[i])
    local rows = redis.call("LRANGE", ARGV[i + 1], 0, -1)
    redis.call("DEL", ARGV[i + 1])
    local enqueued = tonumber(redis.call("HGET", ARGV[i + 2], "enqueued") or "0")
    answer[#answer + 1] = {enqueued, redis.call("HLEN", ARGV[i + 3]), rows}
end
return answer
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was there by `now_ms`, on Redis's clock: `runs` as (ready, duration) in ms, `arrived` jobs since ever.

    `outstanding` jobs are ready or run, whoever sent them. Where `is_cut`, there were more runs than Redis keeps;
    `unread` rows are of no form that is known here.
    """

    now_ms: int
    runs: tuple[tuple[int, float], ...]
    arrived: int
    outstanding: int
    unread: int
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
        arguments = [keys.recording, str(wire.RECORDED_FOR_MS)]
        for name in names:
            arguments += [name, keys.trace(name), keys.stats(name), keys.messages(name), keys.recorder(name)]
        link = await self._links.to(pool.redis)
        (answer,) = await link.run([Call(_TAKE, arguments)])
        if isinstance(answer, QueueUnavailable):
            raise answer
        now_ms, *queues = answer
        rows = [row for *_, of_queue in queues for row in of_queue]
        runs = [run for row in rows if (run := _run(row)) is not None]
        return Taken(
            now_ms,
            tuple(runs),
            arrived=sum(arrived for arrived, _, _ in queues),
            outstanding=sum(outstanding for _, outstanding, _ in queues),
            unread=len(rows) - len(runs),
            is_cut=any(len(of_queue) >= wire.MOST_TRACED for *_, of_queue in queues),
        )

    async def aclose(self) -> None:
        """Close the connection."""
        await self._links.aclose()


def _run(row: str | bytes) -> tuple[int, float] | None:
    try:
        return wire.read_run(row)
    except wire.UnknownRecord:
        return None  # one row of many: it is counted, and the others are good
