"""Sizing by a promise: how many threads have 95 % of jobs start within T seconds of being ready.

Pure. Times in seconds, rates in jobs per second, loads and sizes in threads: one thread runs one job, and one with
weight w takes w threads. Four sizes, of which the largest counts:

steady    Erlang C for the load (arrivals x service time), see `staffing`. It is an estimate with a known error: between
          what the load needs and what it would need three standard deviations higher the replicas stay what they are,
          so a load that does not change does not move them.
soon      What waits now and is not done by the time that new replicas are there has to start before T is over.
later     What waits then, with what comes until then, has to start within T as well. Between the two it cannot be
          worse: arrivals and capacity are linear, so the worst moment is the first or the last one.
burst     Where replicas start too slowly to be called in time: those that the bursts of half an hour needed (`bursts`).

`soon` and `later` aim at 60 % of T: queues are not fluid, and workers hold jobs that another one could start. No more
threads are called for a backlog than there will be jobs when they are there. Limits on the answer belong to `decide`.

Fails when: all jobs are much longer than T (no thread comes free in time: the first jobs of a burst wait); a
downstream is saturated (service times rise with the threads, and so does the answer, up to maxReplicas: see
`saturation`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

from crewcall_operator.core.counters import Crew
from crewcall_operator.core.flow import Flow
from crewcall_operator.core.model import Observation, Policy
from crewcall_operator.core.staffing import threads_for

#: The share of jobs that may start late.
LATE = 0.05

#: The share of the promise that a backlog may take.
AIM = 0.6

#: Of bursts in the last half hour, the share of jobs that is prepared for: others are late for other reasons.
PREPARED = 0.98

#: Standard deviations that the load may be above its estimate before the replicas follow it down.
BAND = 3.0

#: How much longer than usual a start may take, and until it is seen that one is needed, in seconds.
LONGER, SEEN_AFTER = 1.2, 1.0

#: A quotient this little above a whole number is that number.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Demand:
    """What keeps a promise, in threads. `load` of them are busy on average; the others as above.

    `steady_at_most` is `steady` with the highest load that the estimate leaves possible.
    """

    load: float
    steady: int
    steady_at_most: int
    soon: float
    later: float
    burst: float

    @property
    def backlog(self) -> float:
        return max(self.soon, self.later)


def replicas_for(policy: Policy, promise: float, observed: Observation, flow: Flow) -> int | None:
    """The replicas that keep `promise` seconds: at least one while anything is outstanding or due soon.

    None where the counters of a queue or the replicas are not known.
    """
    crew = observed.crew
    if crew is None or not flow.knows(observed.queues):
        return None
    need = demand(policy, promise, observed, crew, flow)
    steady = min(max(crew.ready + crew.pending, _filled(need.steady, crew)), _filled(need.steady_at_most, crew))
    wanted = max(steady, _filled(need.backlog, crew), _filled(need.burst, crew))
    if observed.outstanding or any(queue.due_soon for queue in observed.queues):
        return max(1, wanted)
    # One replica for what may come is `cooldown`'s part; more of them are not kept longer than that one.
    return 0 if wanted <= 1 or flow.idle >= policy.cooldown else wanted


def demand(policy: Policy, promise: float, observed: Observation, crew: Crew, flow: Flow) -> Demand:
    """The threads that keep `promise` seconds."""
    work = work_of(policy, observed, crew, flow)
    patience = round(promise / work.service, 2)
    lead = crew.startup * LONGER + SEEN_AFTER
    aim = promise * AIM
    capacity, pending = crew.ready * crew.threads, crew.pending * crew.threads
    done_meanwhile = capacity * lead + pending * lead / 2
    soon = (work.waiting - done_meanwhile) / max(aim - lead, aim / 3)
    later = (work.waiting + work.load * lead - done_meanwhile) / aim
    left_then = crew.busy + max(0.0, work.jobs_waiting + (work.rate - capacity / work.service) * lead)
    burst = flow.bursts.size(lead - promise, PREPARED) * work.service / lead if lead > promise else 0.0
    return Demand(
        load=work.load,
        steady=threads_for(round(work.load, 2), patience, LATE),
        steady_at_most=threads_for(round(work.load + BAND * work.deviation, 2), patience, LATE),
        soon=min(soon, left_then),
        later=min(later, left_then),
        burst=burst,
    )


@dataclass(frozen=True, slots=True)
class Work:
    """All queues together: jobs per second, threads busy on average and how uncertain that is, seconds a job takes.

    `waiting` thread-seconds are to be done in `jobs_waiting` jobs that do not run yet.
    """

    rate: float
    load: float
    deviation: float
    service: float
    waiting: float
    jobs_waiting: float


def work_of(policy: Policy, observed: Observation, crew: Crew, flow: Flow) -> Work:
    """What there is to do, by the estimates in `flow`."""
    weights = {queue.name: queue.weight for queue in policy.queues}
    rate = load = variance = seconds = 0.0
    jobs = 0
    for queue in observed.queues:
        known = flow.queues[queue.name]
        size = known.service * weights[queue.name]
        there = queue.outstanding + queue.due_soon
        rate += known.arrivals
        load += known.arrivals * size
        variance += (known.deviation * size) ** 2
        seconds += there * size
        jobs += there
    # As jobs come, not as they wait: more short ones in the backlog must not make the others look shorter.
    service = load / rate if rate else fmean(flow.queues[queue.name].service for queue in observed.queues)
    # Which queue the running jobs are of nobody tells: they are taken out evenly.
    waiting = max(0, jobs - crew.busy)
    return Work(rate, load, math.sqrt(variance), service, seconds * waiting / jobs if jobs else 0.0, waiting)


def _filled(threads: float, crew: Crew) -> int:
    """The replicas that have so many threads."""
    return math.ceil(threads / crew.threads - ROUNDING)
