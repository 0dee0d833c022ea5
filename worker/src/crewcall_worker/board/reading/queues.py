"""Queues at a glance: how many jobs of each state, how old the oldest is, who paused it, and its counters.

Rates are not here: Redis has counters since ever, and two looks make a rate; see `rates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from crewcall_worker import wire
from crewcall_worker.board.reading.pools import pool_names
from crewcall_worker.board.reading.source import Source
from crewcall_worker.queues import counts
from crewcall_worker.queues.counts import QueueCounts
from crewcall_worker.queues.job_view import JobState, view_of
from crewcall_worker.queues.pauses import Pause, read_pause
from crewcall_worker.wire import number, text

QUEUES_ON_A_PAGE = 100
_ASKED = counts.ASKED + 4
LARGEST_HEAD = 65_536
"""Bytes; of a larger message the age is not known."""

_COUNTERS = (
    wire.Counter.ENQUEUED,
    wire.Counter.DONE,
    wire.Counter.FAILED,
    wire.Counter.RETRIED,
    wire.Counter.BUSY_MS,
)


@dataclass(frozen=True, slots=True)
class Counted:
    """Counters since ever, of all workers there were: jobs, and ms of threads."""

    enqueued: int = 0
    done: int = 0
    failed: int = 0
    retried: int = 0
    busy_ms: int = 0


@dataclass(frozen=True, slots=True)
class QueueLook(QueueCounts):
    """One queue at one moment; times in ms of Redis's clock.

    `limited`: of the ready jobs, those that wait for their organisation to have fewer in flight. `oldest_age_ms`: for
    how long the oldest ready job has been ready; None where none is, or it cannot be told.
    """

    at_ms: int
    limited: int
    oldest_age_ms: int | None
    counted: Counted
    pause: Pause | None = None


@dataclass(frozen=True, slots=True)
class QueuesPage:
    """Some queues, by name; `after` asks for those behind them, None where there are no more."""

    queues: tuple[QueueLook, ...]
    after: str | None
    total: int


def queue_names(source: Source) -> tuple[str, ...]:
    """Every queue that the runtime has seen, and those of the pools that were told of, by name: plain Dramatiq notes
    its queues nowhere."""
    return tuple(sorted({*source.views.queues(), *_queues_of_pools(source)}))


def read_queues_page(source: Source, after: str = "", most: int = QUEUES_ON_A_PAGE) -> QueuesPage:
    """The queues whose names come after this one."""
    names = queue_names(source)
    rest = [name for name in names if name > after]
    shown = rest[: max(1, min(most, QUEUES_ON_A_PAGE))]
    return QueuesPage(read_queues(source, shown), shown[-1] if len(rest) > len(shown) else None, len(names))


def read_queue(source: Source, queue: str) -> QueueLook:
    """One queue, which may be one that nobody has seen: then there is nothing in it."""
    return read_queues(source, [queue])[0]


def is_known(source: Source, queue: str) -> bool:
    """Whether there is this queue: the runtime has seen it, there are jobs in it, or a pool has it."""
    keys = source.keys
    with source.client.pipeline(transaction=False) as pipeline:
        pipeline.sismember(keys.queues, queue)
        pipeline.exists(keys.ready(queue), keys.messages(queue), keys.messages(queue + wire.DELAYED), keys.dead(queue))
        is_seen, holding = pipeline.execute()
    return bool(is_seen or holding) or queue in _queues_of_pools(source)


def read_queues(source: Source, queues: Sequence[str]) -> tuple[QueueLook, ...]:
    """These queues: in three round trips, however many."""
    if not queues:
        return ()
    keys = source.keys
    with source.client.pipeline(transaction=False) as pipeline:
        pipeline.time()
        pipeline.hgetall(keys.paused)
        for queue in queues:
            counts.ask(pipeline, keys, queue)
            pipeline.zrange(keys.waiting(queue), 0, 0, withscores=True)
            pipeline.hget(keys.surplus(queue), "")
            pipeline.hmget(keys.stats(queue), list(_COUNTERS))
            pipeline.lindex(keys.ready(queue), 0)
        (seconds, microseconds), paused, *rest = pipeline.execute()
    now_ms = int(seconds * 1000 + microseconds // 1000)
    answers = [rest[at : at + _ASKED] for at in range(0, len(rest), _ASKED)]
    heads = _heads(source, {queue: text(it[-1]) for queue, it in zip(queues, answers, strict=True) if it[-1]})
    pauses = {text(name): read_pause(text(name), told) for name, told in paused.items()}
    return tuple(
        _look(queue, now_ms, it, heads.get(queue), pauses.get(queue)) for queue, it in zip(queues, answers, strict=True)
    )


def _queues_of_pools(source: Source) -> set[str]:
    keys = source.keys
    pools = pool_names(source)
    told = source.client.mget([keys.pool(name) for name in pools]) if pools else []
    found: set[str] = set()
    for pool, record in zip(pools, told, strict=True):
        if record is not None:
            with suppress(wire.UnknownRecord):  # the page of the pool tells of that
                found.update(wire.read_pool(pool, record).queues)
    return found


def _heads(source: Source, ids: dict[str, str]) -> dict[str, int]:
    """Since when the head of each queue's list is ready, where its message tells."""
    if not ids:
        return {}
    keys = source.keys
    with source.client.pipeline(transaction=False) as pipeline:
        for queue, id_ in ids.items():
            pipeline.hstrlen(keys.messages(queue), id_)
        sizes = pipeline.execute()
    small = {queue: id_ for (queue, id_), size in zip(ids.items(), sizes, strict=True) if 0 < size <= LARGEST_HEAD}
    with source.client.pipeline(transaction=False) as pipeline:
        for queue, id_ in small.items():
            pipeline.hget(keys.messages(queue), id_)
        texts = pipeline.execute()
    views = {
        queue: view_of(queue, JobState.READY, id_, told)
        for (queue, id_), told in zip(small.items(), texts, strict=True)
        if told is not None
    }
    return {queue: view.at_ms for queue, view in views.items() if view.at_ms is not None}


def _look(queue: str, now_ms: int, answers: list[Any], head_ms: int | None, pause: Pause | None) -> QueueLook:
    counted = counts.read(queue, answers[: counts.ASKED], is_paused=pause is not None)
    first, surplus, counters, _ = answers[counts.ASKED :]
    since = [int(score) for _, score in first]
    if head_ms is not None:
        since.append(head_ms)
    return QueueLook(
        **asdict(counted),
        at_ms=now_ms,
        limited=min(counted.ready, number(surplus)),
        oldest_age_ms=max(0, now_ms - min(since)) if since else None,
        counted=Counted(*map(number, counters)),
        pause=pause,
    )
