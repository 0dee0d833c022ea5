"""The crew that an observation of a pool sized by a promise comes with: its replicas, and the jobs each runs at once.

How many jobs that is says whoever comes first: the template's own CREWCALL_THREADS, which a worker obeys; else
`spec.concurrency`; else what the workers tell, or told when there were some; else it is Dramatiq's default.
"""

from __future__ import annotations

from dataclasses import replace

from crewcall_operator.api.deployment import own_variable
from crewcall_operator.api.pool import Pool
from crewcall_operator.core.crew import USUAL_THREADS, crew_of
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Fleet, Observation
from crewcall_operator.core.policy import QueueLatency
from crewcall_worker import wire


def manned(pool: Pool, fleet: Fleet, observed: Observation | None, memory: Memory, now: float) -> Observation | None:
    """The observation with the pool's crew; as it is where the target needs none."""
    if observed is None or not isinstance(pool.policy.target, QueueLatency):
        return observed
    return replace(observed, crew=crew_of(fleet, observed, threads_of(pool, memory), memory.startups.usual, now))


def threads_of(pool: Pool, memory: Memory) -> int:
    """Jobs that one replica runs at once."""
    own = own_variable(pool, wire.ENV_THREADS)
    if own is not None and own.isdecimal() and int(own) > 0:
        return int(own)
    return pool.concurrency or memory.threads or USUAL_THREADS
