"""What workers and producers with the runtime count of a queue, and which delayed jobs are due before long.

Asked for pools that are sized by a promise only; the others need none of it. What is where is written at the head of
`crewcall_worker.wire`. A queue whose counters are missing has none yet, or nobody who counts: they are zero, and what
that means is for `core.ledger` to say. Of delayed jobs only those of producers with the runtime are in the index; of
others it is known when the next is due (`redis_delayed`), and no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crewcall_operator.adapters.redis_link import Call
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.counters import Counters
from crewcall_operator.core.policy import QueueLatency
from crewcall_operator.errors import QueueUnavailable
from crewcall_worker import wire

QUEUES_IN_A_SCRIPT = 100

_FIELDS = (
    wire.Counter.ENQUEUED,
    wire.Counter.POSTPONED,
    wire.Counter.DONE,
    wire.Counter.FAILED,
    wire.Counter.RETRIED,
    wire.Counter.BUSY_MS,
)

# HGET for each field, as an ACL user that may read queues has it anyway.
_SCRIPT = (
    """
-- For ARGV = a queue's stats, its index of delayed jobs, a horizon in ms, the next queue's ...: the counters of each
-- ("" where there is none), and how many of its delayed jobs are due from now until then.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
for i = 1, #ARGV, 3 do
    local figures = {}
    for j, field in ipairs({FIELDS}) do
        figures[j] = redis.call("HGET", ARGV[i], field) or ""
    end
    figures[#figures + 1] = redis.call("ZCOUNT", ARGV[i + 1], "(" .. now, now + ARGV[i + 2])
    found[#found + 1] = figures
end
return found
"""
).replace("FIELDS", ", ".join(f'"{field}"' for field in _FIELDS))


@dataclass(frozen=True, slots=True)
class Counted:
    """One queue's counters, and how many of its delayed jobs are due within the horizon that was asked for."""

    counters: Counters
    due_soon: int


Asked = Sequence[tuple[PoolKey, str]]
"""Pools and their queues, in the order in which they are asked about."""


def counted_queues(pools: Sequence[Pool]) -> Asked:
    """The queues of those pools that are sized by a promise."""
    return [
        (pool.key, queue.name)
        for pool in pools
        if isinstance(pool.policy.target, QueueLatency)
        for queue in pool.policy.queues
    ]


def counter_calls(pools: Sequence[Pool], asked: Asked, horizons: Mapping[PoolKey, float]) -> list[Call]:
    """What to ask about these queues. `horizons` are seconds, by pool; without one nothing is due soon."""
    namespaces = {pool.key: pool.redis.namespace for pool in pools}
    triples = []
    for key, queue in asked:
        keys = wire.Keys(namespaces[key])
        triples.append((keys.stats(queue), keys.eta(queue), str(round(1000 * horizons.get(key, 0.0)))))
    return [
        Call(_SCRIPT, [word for triple in triples[at : at + QUEUES_IN_A_SCRIPT] for word in triple])
        for at in range(0, len(triples), QUEUES_IN_A_SCRIPT)
    ]


def read_counters(asked: Asked, answers: Sequence[Any]) -> Mapping[tuple[PoolKey, str], Counted | str]:
    """What the answers say of each queue; where it was refused or makes no sense, why, in words."""
    found: dict[tuple[PoolKey, str], Counted | str] = {}
    for number, answer in enumerate(answers):
        batch = asked[number * QUEUES_IN_A_SCRIPT : (number + 1) * QUEUES_IN_A_SCRIPT]
        for at, which in enumerate(batch):
            refused = isinstance(answer, QueueUnavailable)
            found[which] = f"what workers count is not known: {answer}" if refused else _counted(which[1], answer[at])
    return found


def _counted(queue: str, figures: Sequence[Any]) -> Counted | str:
    try:
        enqueued, postponed, done, failed, retried, busy_ms, due_soon = (int(figure or 0) for figure in figures)
    except ValueError:
        return f"what workers count is not known: stats:{queue} holds something else than numbers. Delete that key"
    return Counted(Counters(enqueued - postponed, done + failed + retried, busy_ms / 1000), due_soon)
