"""The setting of a simulation: what the world does, whoever scales the pool.

Times in seconds. The defaults are Kubernetes' and Dramatiq's own: a worker holds twice as many messages as it has
threads (dramatiq/worker.py, QUEUE_PREFETCH = 2 * worker_threads), so `prefetch`, what it holds beyond those it runs,
is one for each thread.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` until before `end`."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Setting:
    """`startup` is how long a replica takes from being asked for to its first job; `startup_shift` (when, seconds)
    replaces it from then on. Each start varies by up to `startup_jitter` of it, either way.

    In an `outage` Redis is away: nobody sees or fetches a job, and what is sent arrives at its end.
    At each of `kills` a replica picked at random dies with all it runs.
    At most `downstream` jobs make progress at once, as with a rate-limited API; None: no such limit.
    """

    threads: int = 4
    prefetch: int = 4
    startup: float = 30.0
    startup_jitter: float = 0.2
    startup_shift: tuple[float, float] | None = None
    outages: tuple[Span, ...] = ()
    kills: tuple[float, ...] = ()
    downstream: int | None = None
    seed: int = 1
