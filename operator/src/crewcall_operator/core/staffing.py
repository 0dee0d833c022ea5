"""Staffing: how many threads let jobs that arrive at random start in time.

Pure. Erlang C is the chance that an arriving job finds all n threads busy, with Poisson arrivals and exponential
service (M/M/n); given that it waits, its wait is exponential with rate (n - a)/S, where a is the offered load and S the
mean service time. Gross & Harris, Fundamentals of Queueing Theory, section 2.3; the recursion of Erlang B is exact.
Real arrivals are burstier: what they leave behind is seen as backlog, and is `promise`'s part.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache

#: Threads from which on the limit for many of them is close enough, and more of them than any pool has.
MANY, MOST = 10_000.0, 1_000_000_000


@lru_cache(maxsize=4096)
def threads_for(load: float, patience: float, late: float) -> int:
    """The fewest threads with which at most a share of `late` waits longer than `patience` mean service times.

    `load` is in threads. More than one thread above the load is never needed where patience is long. From `MANY` on
    the limit for many threads tells, to a few of ten thousand; from `MOST` on, or where it is no number, it is `MOST`.
    """
    if load <= 0.0:
        return 0
    if not load < MOST:
        return MOST
    if load >= MANY:
        # Of the threads above the load none is needed beyond three roots of it: then hardly anybody waits at all.
        above = range(1, 3 * math.isqrt(math.ceil(load)) + 3)
        least = bisect_left(above, True, key=lambda n: _waits(n, load) * math.exp(-n * patience) <= late)
        return math.floor(load) + above[min(least, len(above) - 1)]
    blocked, threads = 1.0, 0
    while True:
        threads += 1
        blocked = load * blocked / (threads + load * blocked)
        if threads <= load:
            continue
        waits = blocked / (1.0 - load / threads * (1.0 - blocked))
        if waits * math.exp(-(threads - load) * patience) <= late:
            return threads


def _waits(above: float, load: float) -> float:
    """Erlang C with so many threads above a large load (Halfin & Whitt, 1981)."""
    beta = above / math.sqrt(load)
    free = (1.0 + math.erf(beta / math.sqrt(2.0))) / 2.0
    return 1.0 / (1.0 + beta * free * math.sqrt(2.0 * math.pi) * math.exp(beta * beta / 2.0))
