"""The workers of pools as they tell of themselves in Redis, and the orders that their pods have.

What is where is written at the head of `crewcall_worker.wire`. What cannot be read, for want of a right or because a
worker is of a newer version than this operator, is told of: then there may be more of them than were found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from crewcall_operator.adapters.redis_link import Call
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.model import Worker, WorkerState
from crewcall_operator.errors import QueueUnavailable
from crewcall_worker import wire

POOLS_IN_A_SCRIPT = 100

Hash = Sequence[str] | QueueUnavailable
"""What was answered for a hash: its fields and values in turn, or why it could not be read. A bare text is Redis's own
words for that."""

_SCRIPT = """
-- For ARGV = a pool's workers, its orders, the next pool's ...: both hashes of each, flat; a text says why one could
-- not be read, so that a key which the user may not read fails itself and no other pool's.
local found = {}
for i, key in ipairs(ARGV) do
    local read, answer = pcall(redis.call, "HGETALL", key)
    if not read then
        answer = type(answer) == "table" and answer.err or tostring(answer) -- a text before Redis 7
    end
    found[i] = answer
end
return found
"""


@dataclass(frozen=True, slots=True)
class Crew:
    """A pool's workers and the pods that are ordered to drain; `unread` says in words what could not be read."""

    workers: tuple[Worker, ...] = ()
    orders: frozenset[str] = frozenset()
    unread: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether there are no others."""
        return not self.unread


#: How a Redis says that a key could not be read: the key, and its own words.
Refused = Callable[[str, str], QueueUnavailable]


def crew_calls(pools: Sequence[Pool]) -> list[Call]:
    """What to ask about these pools."""
    keys = [key for pool in pools for key in _keys(pool)]
    step = 2 * POOLS_IN_A_SCRIPT
    return [Call(_SCRIPT, keys[at : at + step]) for at in range(0, len(keys), step)]


def read_crews(pools: Sequence[Pool], answers: Sequence[Any], now_ms: int, refused: Refused) -> Mapping[PoolKey, Crew]:
    """What the answers say of each pool; `now_ms` is Redis's time."""
    hashes: list[Hash] = []
    for answer in answers:
        is_refused = isinstance(answer, QueueUnavailable)
        hashes += [answer] * 2 * POOLS_IN_A_SCRIPT if is_refused else answer
    pairs = zip(pools, hashes[::2], hashes[1::2], strict=False)
    return {pool.key: _crew(_keys(pool), workers, orders, now_ms, refused) for pool, workers, orders in pairs}


def _keys(pool: Pool) -> tuple[str, str]:
    keys, name = wire.Keys(pool.redis.namespace), wire.pool_name(*pool.key)
    return keys.workers(name), keys.orders(name)


def _crew(keys: tuple[str, str], workers: Hash, orders: Hash, now_ms: int, refused: Refused) -> Crew:
    try:
        records = _items(keys[0], workers, refused)
    except QueueUnavailable as error:
        return Crew(unread=(f"workers are not known: {error}",))
    found, unread = [], []
    for id_, text in records:
        try:
            found.append(_worker(wire.read_worker(id_, text), now_ms))
        except wire.UnknownRecord as error:
            unread.append(str(error))
    try:
        words = _items(keys[1], orders, refused)
    except QueueUnavailable as error:
        return Crew(tuple(found), unread=(*unread, f"orders are not known: {error}"))
    ordered = frozenset(pod for pod, word in words if wire.read_order(word) is wire.Order.DRAIN)
    return Crew(tuple(found), ordered, tuple(unread))


def _items(key: str, answer: Hash, refused: Refused) -> list[tuple[str, str]]:
    """A hash's fields and values. Raises `QueueUnavailable` where it could not be read."""
    if isinstance(answer, QueueUnavailable):
        raise answer
    if isinstance(answer, str):
        raise refused(key, answer)
    return list(pairwise(answer))[::2]


def _worker(record: wire.WorkerRecord, now_ms: int) -> Worker:
    # What is not told is taken for the worse: at work, and silent since ever.
    return Worker(
        id=record.worker,
        pod=record.pod or "",
        state=WorkerState.RUNNING if record.state is None else WorkerState(record.state.value),
        busy=record.busy or 0,
        oldest_age=None if record.oldest_ms is None else max(0.0, (now_ms - record.oldest_ms) / 1000),
        threads=record.threads,
        silent_for=float("inf") if record.at_ms is None else abs(now_ms - record.at_ms) / 1000,
        prefetched=record.prefetched or 0,
    )
