"""What a promise in seconds needs to know beyond the backlog: what workers counted, and the replicas they run in.

Pure values. Both are None where they could not be read; then no size can be derived from a promise. Plain Dramatiq
workers count nothing: their counters are zero, and `ledger` makes what can be made of the queues alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counters:
    """What all workers of a queue counted since ever. Each only rises, unless somebody deletes it: then it starts anew.

    `arrived` jobs became ready, a retry being one more; `ended` had been run, whatever came of them. `busy` is the time
    that threads spent on jobs, in seconds, on those that still run as well.
    """

    arrived: int
    ended: int
    busy: float


@dataclass(frozen=True, slots=True)
class Crew:
    """The replicas of a pool: `ready` to work, those that drain included (they can be called back), and `pending`.

    Each runs `threads` jobs at once, and `busy` jobs run in all of them. `startup` is how many seconds a new one takes
    until it works. Of the pending ones `unschedulable` find no node. Where nobody `counts` what is done, all are plain
    Dramatiq workers.
    """

    ready: int
    pending: int
    threads: int
    busy: int
    startup: float
    unschedulable: int = 0
    counts: bool = True
