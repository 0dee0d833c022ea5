"""The workers of pools as they tell of themselves in Redis, what was ordered of them, and what a hand wishes of a pool.

What is where is written at the head of `crewcall_worker.wire`. What cannot be read, for want of a right or because a
worker is of a newer version than this operator, is told of: then there may be more of them than were found. So is a
pin that cannot be read: whoever remembers one keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any

from crewcall_operator.adapters.redis_link import Call
from crewcall_operator.adapters.redis_words import shown
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.observation import Worker, WorkerState
from crewcall_operator.core.pin import Pin
from crewcall_operator.errors import QueueUnavailable
from crewcall_worker import wire

POOLS_IN_A_SCRIPT = 100

Hash = Sequence[str] | QueueUnavailable
"""What was answered for a hash: its fields and values in turn, or of a single field its value; or why it could not be
read. A bare text is Redis's own words for that."""

PIN_LENGTH = 100
"""Characters of the name of whoever pinned a pool that are told."""

_SCRIPT = """
-- For ARGV = a pool's workers, its orders, what its workers were asked, the pins, the pool's name in them, the next
-- pool's ...: of each the three hashes, flat, and its pin, in a list where there is one; a text says why one could not
-- be read, so that a key which the user may not read fails itself and no other pool's.
local found = {}
local function read(...)
    local is_read, answer = pcall(redis.call, ...)
    if not is_read then
        answer = type(answer) == "table" and answer.err or tostring(answer) -- a text before Redis 7
    elseif type(answer) ~= "table" then
        answer = { answer or nil }
    end
    found[#found + 1] = answer
end
for i = 1, #ARGV, 5 do
    for j = 0, 2 do
        read("HGETALL", ARGV[i + j])
    end
    read("HGET", ARGV[i + 3], ARGV[i + 4])
end
return found
"""


@dataclass(frozen=True, slots=True)
class Told:
    """A pool's workers, the pods that are ordered to drain, and its pin; `unread` says in words what could not be read.

    `is_known` tells whether there are no other workers, `knows_pin` whether there is no other pin.
    """

    workers: tuple[Worker, ...] = ()
    orders: frozenset[str] = frozenset()
    pin: Pin | None = None
    unread: tuple[str, ...] = ()
    is_known: bool = True
    knows_pin: bool = True


#: How a Redis says that a key could not be read: the key, and its own words.
Refused = Callable[[str, str], QueueUnavailable]


def worker_calls(pools: Sequence[Pool]) -> list[Call]:
    """What to ask about these pools."""
    batches = [pools[at : at + POOLS_IN_A_SCRIPT] for at in range(0, len(pools), POOLS_IN_A_SCRIPT)]
    return [Call(_SCRIPT, list(chain.from_iterable(map(_places, batch)))) for batch in batches]


def read_workers(
    pools: Sequence[Pool], answers: Sequence[Any], now_ms: int, refused: Refused
) -> Mapping[PoolKey, Told]:
    """What the answers say of each pool; `now_ms` is Redis's time."""
    found: list[Hash] = []
    for answer in answers:
        found += [answer] * 4 * POOLS_IN_A_SCRIPT if isinstance(answer, QueueUnavailable) else answer
    return {pool.key: _of_pool(pool, found[4 * at : 4 * at + 4], now_ms, refused) for at, pool in enumerate(pools)}


def _places(pool: Pool) -> tuple[str, ...]:
    keys, name = wire.Keys(pool.redis.namespace), wire.pool_name(*pool.key)
    return keys.workers(name), keys.orders(name), keys.asked(name), keys.pins, name


def _of_pool(pool: Pool, answers: Sequence[Hash], now_ms: int, refused: Refused) -> Told:
    at_workers, at_orders, at_asked, at_pins, name = _places(pool)
    workers, orders, asked, pins = answers
    try:
        records = _items(at_workers, workers, refused)
    except QueueUnavailable as error:
        return Told(unread=(f"workers are not known: {error}",), is_known=False, knows_pin=False)
    found, unread = [], []
    words: list[tuple[str, str]] = []
    wishes: list[tuple[str, str]] = []
    try:
        words = _items(at_orders, orders, refused)
        wishes = _items(at_asked, asked, refused)
    except QueueUnavailable as error:
        unread.append(f"orders are not known: {error}")
    leaving = {id_ for id_, _ in wishes}
    for id_, text in records:
        try:
            found.append(_worker(wire.read_worker(id_, text), now_ms, is_asked=id_ in leaving))
        except wire.UnknownRecord as error:
            unread.append(shown(str(error)))
    ordered = frozenset(pod for pod, word in words if wire.read_order(word) is wire.Order.DRAIN)
    told = Told(tuple(found), ordered, unread=tuple(unread), is_known=not unread)
    try:
        return replace(told, pin=_pin(name, _answered(at_pins, pins, refused)))
    except (QueueUnavailable, wire.UnknownRecord) as error:
        return replace(told, unread=(*unread, f"the pin is not known: {error}"), knows_pin=False)


def _pin(pool: str, told: Sequence[str]) -> Pin | None:
    """The pin by hand, if there is one. Its name is for people's eyes: it goes to terminals, logs and statuses."""
    if not told:
        return None
    pin = wire.read_pin(pool, told[0])
    name = "".join(sign for sign in pin.by if sign.isprintable())[:PIN_LENGTH]
    return Pin(pin.replicas, name or "somebody")


def _items(key: str, answer: Hash, refused: Refused) -> list[tuple[str, str]]:
    """A hash's fields and values. Raises `QueueUnavailable` where it could not be read."""
    return list(pairwise(_answered(key, answer, refused)))[::2]


def _answered(key: str, answer: Hash, refused: Refused) -> Sequence[str]:
    if isinstance(answer, QueueUnavailable):
        raise answer
    if isinstance(answer, str):
        raise refused(key, answer)
    return answer


def _worker(record: wire.WorkerRecord, now_ms: int, *, is_asked: bool) -> Worker:
    # What is not told is taken for the worse: at work, and silent since ever.
    return Worker(
        id=record.worker,
        pod=shown(record.pod or ""),
        state=WorkerState.RUNNING if record.state is None else WorkerState(record.state.value),
        busy=record.busy or 0,
        oldest_age=None if record.oldest_ms is None else max(0.0, (now_ms - record.oldest_ms) / 1000),
        threads=record.threads,
        silent_for=float("inf") if record.at_ms is None else abs(now_ms - record.at_ms) / 1000,
        prefetched=record.prefetched or 0,
        is_asked=is_asked,
    )
