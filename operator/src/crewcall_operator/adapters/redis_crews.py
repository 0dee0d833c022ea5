"""The workers of pools as they tell of themselves in Redis, and the orders that their pods have.

What is where is written at the head of `crewcall_worker.wire`. A worker of a newer version than this operator knows
counts as one without the runtime, and is told of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from crewcall_operator.adapters.redis_link import Call
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.model import Worker, WorkerState
from crewcall_operator.errors import QueueUnavailable
from crewcall_worker import wire

POOLS_IN_A_SCRIPT = 100

_SCRIPT = """
-- For ARGV = a pool's workers, its orders, the next pool's ...: both hashes of each, flat.
local found = {}
for i, key in ipairs(ARGV) do
    found[i] = redis.call("HGETALL", key)
end
return found
"""


@dataclass(frozen=True, slots=True)
class Crew:
    """A pool's workers and the pods that are ordered to drain; `unread` says in words what could not be read."""

    workers: tuple[Worker, ...] = ()
    orders: frozenset[str] = frozenset()
    unread: tuple[str, ...] = ()


def crew_calls(pools: Sequence[Pool]) -> list[Call]:
    """What to ask about these pools."""
    keys = [key for pool in pools for key in _keys(pool)]
    step = 2 * POOLS_IN_A_SCRIPT
    return [Call(_SCRIPT, keys[at : at + step]) for at in range(0, len(keys), step)]


def read_crews(pools: Sequence[Pool], answers: Sequence[Any], now_ms: int) -> Mapping[PoolKey, Crew]:
    """What the answers say of each pool; `now_ms` is Redis's time."""
    hashes: list[Sequence[str] | QueueUnavailable] = []
    for answer in answers:
        refused = isinstance(answer, QueueUnavailable)
        hashes += [answer] * 2 * POOLS_IN_A_SCRIPT if refused else answer
    return {
        pool.key: _crew(workers, orders, now_ms)
        for pool, workers, orders in zip(pools, hashes[::2], hashes[1::2], strict=False)
    }


def _keys(pool: Pool) -> tuple[str, str]:
    keys, name = wire.Keys(pool.redis.namespace), wire.pool_name(*pool.key)
    return keys.workers(name), keys.orders(name)


def _crew(workers: Sequence[str] | QueueUnavailable, orders: Sequence[str] | QueueUnavailable, now_ms: int) -> Crew:
    if isinstance(workers, QueueUnavailable):
        return Crew(unread=(f"workers are not known: {workers}",))
    if isinstance(orders, QueueUnavailable):
        return Crew(unread=(f"orders are not known: {orders}",))
    found, unread = [], []
    for id_, text in _items(workers):
        try:
            found.append(_worker(wire.read_worker(id_, text), now_ms))
        except wire.UnknownRecord as error:
            unread.append(str(error))
    ordered = frozenset(pod for pod, word in _items(orders) if wire.read_order(word) is wire.Order.DRAIN)
    return Crew(tuple(found), ordered, tuple(unread))


def _items(flat: Sequence[str]) -> list[tuple[str, str]]:
    return list(pairwise(flat))[::2]


def _worker(record: wire.WorkerRecord, now_ms: int) -> Worker:
    # What is not told is taken for the worse: at work, and silent since ever.
    return Worker(
        id=record.worker,
        pod=record.pod or "",
        state=WorkerState.RUNNING if record.state is None else WorkerState(record.state.value),
        busy=record.busy or 0,
        oldest_age=None if record.oldest_ms is None else max(0.0, (now_ms - record.oldest_ms) / 1000),
        threads=record.threads,
        prefetched=record.prefetched or 0,
        silent_for=float("inf") if record.at_ms is None else abs(now_ms - record.at_ms) / 1000,
    )
