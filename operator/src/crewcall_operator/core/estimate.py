"""The estimate: what a promise was sized by, for people and metrics. Pure.

The figures themselves come from `flow` (arrivals, service times), `startups`, `crew` (threads) and `saturation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Observation
from crewcall_operator.core.policy import Policy, QueueLatency
from crewcall_operator.core.saturation import Saturated
from crewcall_operator.core.work import work_of


class Basis(StrEnum):
    """Who tells how many jobs come, and how long they take. See `ledger` for what is known where nobody counts."""

    COUNTED = "Counted"
    """Workers count the jobs that end and their time, producers those that come."""

    BALANCED = "Balanced"
    """Workers count; of jobs that come from plain producers it is known only how the queues grow beside that."""

    QUEUES_ALONE = "QueuesAlone"
    """Plain workers: there is nothing but the queues' lengths."""


WORDS = {
    Basis.COUNTED: "workers and producers count the jobs",
    Basis.BALANCED: "workers count the jobs that end; those that come are seen by the queues' growth",
    Basis.QUEUES_ALONE: (
        "plain Dramatiq workers count nothing, so rates and service times are seen by the queues' lengths alone: "
        "jobs may be taken for longer than they are"
    ),
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """`arrivals` in jobs per second, `service` in seconds a job, `load` in threads that are busy on average.

    A replica runs `threads` jobs at once and takes `startup` seconds to start. `saturated` where more of them would not
    help.
    """

    arrivals: float
    service: float
    load: float
    threads: int
    startup: float
    basis: Basis
    saturated: Saturated | None = None

    def __str__(self) -> str:
        jobs = f"{self.arrivals:.3g} jobs/s of {self.service:.3g} s"
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{jobs}, {threads} a replica, started in {self.startup:.1f} s"


def estimate(policy: Policy, observed: Observation | None, memory: Memory) -> Estimate | None:
    """What is estimated of a pool that is sized by a promise, once `memory` holds `observed`; None where nothing is."""
    if not isinstance(policy.target, QueueLatency) or observed is None or observed.crew is None:
        return None
    if not memory.flow.knows(observed.queues):
        return None
    work = work_of(policy, observed, observed.crew, memory.flow)
    basis = Basis.BALANCED if memory.ledger.misses_producers else Basis.COUNTED
    return Estimate(
        arrivals=work.rate,
        service=work.service,
        load=work.load,
        threads=observed.crew.threads,
        startup=observed.crew.startup,
        basis=basis if observed.crew.counts else Basis.QUEUES_ALONE,
        saturated=memory.saturation.verdict,
    )
