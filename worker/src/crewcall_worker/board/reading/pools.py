"""Pools as the operator tells of them: what it decided and why, now and over the last hours.

A pool at rest is told of no more until something changes: `at_ms` is since when it is as it is, not when somebody last
looked. What the pool's workers tell themselves is in `workers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crewcall_worker import wire
from crewcall_worker.board.reading.histories import read_entries
from crewcall_worker.board.reading.source import Source
from crewcall_worker.wire import text

MOST_POOLS = 200
"""That are read at once: those that were told of last."""
MOST_NAMES = 1_000
"""Pools that are known by name, and whose queues are: likewise."""
SPARK_ENTRIES = 60
HISTORY_HOURS = 6
MOST_POINTS = 360
"""Of a chart; there is a point each minute of six hours, or where something was decided."""

NEVER_TOLD = "nobody has told of it"


@dataclass(frozen=True, slots=True)
class PoolLook:
    """One pool. `problem` is why its record cannot be read, where it cannot: then only the name is known.

    `pin` is the one that somebody set by hand here, which the operator may not have seen yet; what holds is `pinned`
    and `pinned_by` in the record.
    """

    pool: str
    now_ms: int
    record: wire.PoolRecord
    pin: wire.Pin | None = None
    recent: tuple[wire.HistoryEntry, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """A pool's last hours, the oldest entry first. `is_thinned`: samples between are left out, decisions never."""

    pool: str
    from_ms: int
    to_ms: int
    entries: tuple[wire.HistoryEntry, ...]
    is_thinned: bool = False

    @property
    def decisions(self) -> tuple[wire.HistoryEntry, ...]:
        """Those that moved replicas."""
        return tuple(entry for entry in self.entries if entry.is_decision)


def pool_names(source: Source, most: int = MOST_NAMES) -> tuple[str, ...]:
    """The pools that were told of last, by name."""
    found: list[Any] = source.client.zrevrange(source.keys.pools, 0, most - 1)
    return tuple(sorted(text(name) for name in found))


def count_unread(source: Source) -> int:
    """How many pools there are beyond those that are read at once."""
    return max(0, int(source.client.zcard(source.keys.pools)) - MOST_POOLS)


def read_pools(source: Source, pools: Sequence[str] | None = None) -> tuple[PoolLook, ...]:
    """These pools, or the last ones, with the end of their history for a sparkline: in two round trips."""
    names = pool_names(source, MOST_POOLS) if pools is None else tuple(pools)
    if not names:
        return ()
    keys = source.keys
    with source.client.pipeline(transaction=False) as pipeline:
        pipeline.time()
        pipeline.hmget(keys.pins, list(names))
        pipeline.mget([keys.pool(name) for name in names])
        for name in names:
            pipeline.xrevrange(keys.history(name), count=SPARK_ENTRIES)
        (seconds, microseconds), pins, records, *histories = pipeline.execute()
    now_ms = int(seconds * 1000 + microseconds // 1000)
    return tuple(
        _look(name, now_ms, record, _pin(name, pin), read_entries(reversed(history)))
        for name, pin, record, history in zip(names, pins, records, histories, strict=True)
        if record is not None or pools is not None
    )


def read_pool(source: Source, pool: str) -> PoolLook | None:
    """One pool; None where nobody has told of it."""
    (look,) = read_pools(source, [pool])
    return None if look.problem == NEVER_TOLD else look


def read_history(source: Source, pool: str, hours: float = HISTORY_HOURS, most: int = MOST_POINTS) -> History:
    """The pool's last hours, thinned out to about `most` samples; all decisions are in it."""
    to_ms = source.now_ms()
    from_ms = to_ms - round(hours * 3_600_000)
    entries = source.histories.read(pool, from_ms)
    step = max(1, -(-len(entries) // max(1, most)))
    last = len(entries) - 1
    kept = tuple(it for place, it in enumerate(entries) if it.is_decision or place % step == 0 or place == last)
    return History(pool, from_ms, to_ms, kept, is_thinned=len(kept) < len(entries))


def _look(
    name: str,
    now_ms: int,
    record: str | bytes | None,
    pin: wire.Pin | None,
    recent: tuple[wire.HistoryEntry, ...],
) -> PoolLook:
    if record is None:
        return PoolLook(name, now_ms, wire.PoolRecord(name), pin, recent, NEVER_TOLD)
    try:
        return PoolLook(name, now_ms, wire.read_pool(name, record), pin, recent)
    except wire.UnknownRecord as error:
        return PoolLook(name, now_ms, wire.PoolRecord(name), pin, recent, str(error))


def _pin(name: str, told: str | bytes | None) -> wire.Pin | None:
    if told is None:
        return None
    try:
        return wire.read_pin(name, told)
    except wire.UnknownRecord:
        return None
