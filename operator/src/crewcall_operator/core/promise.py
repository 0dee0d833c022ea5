"""Sizing by a promise: how many threads have 95 % of jobs start within T seconds of being ready.

Pure. Times in seconds, rates in jobs per second, loads and sizes in threads (one thread runs one job).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from crewcall_operator.core.counters import Crew
from crewcall_operator.core.flow import Flow
from crewcall_operator.core.model import Observation, Policy
from crewcall_operator.core.staffing import threads_for

#: The share of jobs that may start late.
LATE = 0.05


@dataclass(frozen=True, slots=True)
class Demand:
    """`steady` threads keep the promise from now on, `backlog` threads make good what waits already.

    `load` threads are busy on average (arrivals x service time).
    """

    load: float
    steady: int
    backlog: float
    service: float

    @property
    def threads(self) -> float:
        return max(self.steady, self.backlog)


def demand(policy: Policy, promise: float, observed: Observation, crew: Crew, flow: Flow) -> Demand:
    """The threads that keep `promise` seconds."""
    weights = {queue.name: queue.weight for queue in policy.queues}
    rate = load = work = 0.0
    for queue in observed.queues:
        known, weight = flow.queues[queue.name], weights[queue.name]
        rate += known.arrivals
        load += known.arrivals * known.service * weight
        work += (queue.outstanding + queue.due_soon) * known.service * weight
    outstanding = observed.outstanding + sum(queue.due_soon for queue in observed.queues)
    waiting = max(0, outstanding - crew.busy)
    if outstanding:
        service = work / outstanding
        work *= waiting / outstanding
    else:
        service = load / rate if rate else 1.0
    steady = threads_for(round(load, 2), round(promise / service, 2), LATE)
    startup = crew.startup
    horizon = max(promise, startup + max(startup, service))
    capacity, pending = crew.ready * crew.threads, crew.pending * crew.threads
    total = work + load * horizon
    backlog = 0.0
    if total > capacity * horizon + pending * (horizon - startup / 2):
        backlog = capacity + (total - capacity * horizon) / max(horizon - startup, horizon / 4)
    left = crew.busy + max(0.0, waiting + (rate - capacity / service) * startup)
    backlog = min(max(steady, backlog), max(steady, left))
    return Demand(load, steady, backlog, service)


def replicas_for(policy: Policy, promise: float, observed: Observation, flow: Flow) -> int | None:
    """The replicas that keep `promise` seconds, at least one while anything is outstanding.

    None where the counters of a queue or the replicas are not known.
    """
    crew = observed.crew
    if crew is None or any(queue.name not in flow.queues for queue in observed.queues):
        return None
    need = demand(policy, promise, observed, crew, flow)
    wanted = math.ceil(need.threads / crew.threads - 1e-9)
    if observed.outstanding or any(queue.due_soon for queue in observed.queues):
        return max(1, wanted)
    return wanted if wanted > 1 else 0
