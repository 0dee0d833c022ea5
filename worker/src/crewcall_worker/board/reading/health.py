"""Whether the queues are well, in one answer for a monitor: Redis answers, and nothing waits where nobody fetches."""

from __future__ import annotations

import time
from dataclasses import dataclass

from crewcall_worker.board.reading.pools import read_pools
from crewcall_worker.board.reading.queues import queue_names, read_queues
from crewcall_worker.board.reading.source import Source

MOST_QUEUES = 1_000


@dataclass(frozen=True, slots=True)
class QueuesHealth:
    """`redis_ms`: how long Redis took for one answer. Sums are over all queues (the first 1,000 by name).

    `held_pools`: pools that hold their replicas because something cannot be read, by the operator's word; of more than
    200 pools, among those that were told of last.
    """

    now_ms: int
    redis_ms: float
    queues: int
    pools: int
    ready: int
    in_flight: int
    delayed: int
    dead: int
    oldest_age_ms: int | None
    paused: tuple[str, ...]
    held_pools: tuple[str, ...]


HELD = frozenset({"RedisUnavailable", "WorkersUnread", "TargetNotAvailable", "Fallback"})


def read_health(source: Source) -> QueuesHealth:
    """One look at all queues."""
    begun = time.perf_counter()
    now_ms = source.now_ms()
    took_ms = (time.perf_counter() - begun) * 1000
    names = queue_names(source)[:MOST_QUEUES]
    looks = read_queues(source, names)
    pools = read_pools(source)
    return QueuesHealth(
        now_ms=now_ms,
        redis_ms=round(took_ms, 3),
        queues=len(names),
        pools=len(pools),
        ready=sum(look.ready for look in looks),
        in_flight=sum(look.in_flight for look in looks),
        delayed=sum(look.delayed for look in looks),
        dead=sum(look.dead for look in looks),
        oldest_age_ms=max((it.oldest_age_ms for it in looks if it.oldest_age_ms is not None), default=None),
        paused=tuple(look.queue for look in looks if look.is_paused),
        held_pools=tuple(it.pool for it in pools if it.record.reason in HELD),
    )
