"""How many jobs of one queue a worker runs at once, and how many threads that takes. Pure.

A limit is kept by holding no more messages than that: what a worker holds of a queue waits for a thread or runs. So no
thread is ever kept waiting by a limit, and what is over it stays in Redis, for another worker. The price is that
nothing of such a queue is prefetched: a thread that is done waits for one round trip to Redis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

DEFAULT_THREADS = 8
"""As Dramatiq's own command line has it."""
MOST_THREADS = 1000


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many jobs a worker runs at once: of all its queues, and of each queue that has a limit."""

    threads: int = DEFAULT_THREADS
    limits: Mapping[str, int] = field(default_factory=dict)

    def of(self, queues: Iterable[str]) -> str:
        """For people: these queues, each with its limit."""
        return ", ".join(
            f"{queue} ({self.limits[queue]} at once)" if queue in self.limits else queue for queue in queues
        )


UNLIMITED = Capacity()
"""What a worker has that is told nothing."""


def capacity(
    queues: Iterable[str], defaults: Iterable[tuple[str, int | None]], limits: Mapping[str, int], threads: int | None
) -> Capacity:
    """The capacity of a worker on these queues that was told `limits` and `threads`.

    A queue it was not told of has the least of the `defaults` of its job types, if any. Where each queue has a limit,
    there are no more threads than their sum: more would never have a job, and the pool would count on them.
    """
    known: dict[str, int] = {}
    for queue, default in defaults:
        if default is not None:
            known[queue] = min(default, known.get(queue, default))
    known.update(limits)
    names = list(queues)
    kept = {name: known[name] for name in names if name in known}
    if len(kept) == len(names):
        return Capacity(min(sum(kept.values()), MOST_THREADS if threads is None else threads), kept)
    return Capacity(DEFAULT_THREADS if threads is None else threads, kept)
