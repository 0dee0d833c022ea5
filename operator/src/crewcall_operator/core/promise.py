"""Sizing by a promise: how many threads have 95 % of jobs start within T seconds of being ready.

Pure. Times in seconds, rates in jobs per second, loads and sizes in threads: one thread runs one job, and one with
weight w takes w threads. Four sizes, of which the largest counts:

steady    Erlang C for the load (arrivals x service time), see `staffing`; for long jobs that would pay for the error of
          a rate with the length of a job. What is there now and can still be there when new replicas are, and Erlang C
          for what can come until then, is enough: the smaller of both. It is an estimate with a known error: between
          that and what it would be three standard deviations higher the replicas stay what they are, so a load that
          does not change does not move them.
soon      What waits now and is not done by the time that new replicas are there has to start before T is over.
later     What waits then, with what comes until then, has to start within T as well. Between the two it cannot be
          worse: arrivals and capacity are linear, so the worst moment is the first or the last one.
burst     Where replicas start too slowly to be called in time: those that the bursts of half an hour needed (`bursts`).

`soon` and `later` aim at 60 % of T: queues are not fluid, and workers hold jobs that another one could start. No more
threads are called for a queue's backlog than its jobs can take when they are there (`work`). Limits on the answer
belong to `decide`.

Fails when: all jobs are much longer than T (no thread comes free in time: the first jobs of a burst wait, and so does
what a worker holds behind them: such pools do better without prefetching); a downstream is saturated (service times
rise with the threads, and so does the answer, up to maxReplicas: see `saturation`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from crewcall_operator.core.counters import Crew
from crewcall_operator.core.flow import Flow
from crewcall_operator.core.observation import Observation
from crewcall_operator.core.policy import Policy
from crewcall_operator.core.staffing import threads_for
from crewcall_operator.core.work import Work, work_of

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
    steady: float
    steady_at_most: float
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
    if observed.outstanding or any(queue.coming for queue in observed.queues):
        return max(1, wanted)
    # One replica for what may come is `cooldown`'s part; more of them are not kept longer than that one.
    return 0 if wanted <= 1 or flow.idle >= policy.cooldown else wanted


def demand(policy: Policy, promise: float, observed: Observation, crew: Crew, flow: Flow) -> Demand:
    """The threads that keep `promise` seconds."""
    work = work_of(policy, observed, crew, flow)
    lead = crew.startup * LONGER + SEEN_AFTER
    aim = promise * AIM
    capacity, pending = crew.ready * crew.threads * lead, crew.pending * crew.threads * lead / 2
    burst = flow.bursts.size(lead - promise, PREPARED) * work.coming(lead).service / lead if lead > promise else 0.0
    return Demand(
        load=work.load,
        steady=_steady(work, promise, lead),
        steady_at_most=_steady(work, promise, lead, BAND),
        soon=work.threads_for_backlog(0.0, capacity + pending, capacity, max(aim - lead, aim / 3)),
        later=work.threads_for_backlog(lead, capacity + pending, capacity, aim),
        burst=burst,
    )


def _steady(work: Work, promise: float, lead: float, deviations: float = 0.0) -> float:
    """The threads for the load on average, or for what is there and what can come in `lead` seconds if fewer.

    Who waits does so for a job to end, however little of the jobs is looked at.
    """
    patience = round(promise / work.running_service, 2)
    coming = work.coming(lead)
    there = work.still_there(lead) + deviations * work.leaving_deviation(lead)
    return min(_staffed(work, patience, deviations), there + _staffed(coming, patience, deviations))


def _staffed(work: Work, patience: float, deviations: float) -> int:
    return threads_for(round(work.load + deviations * work.deviation, 2), patience, LATE)


def _filled(threads: float, crew: Crew) -> int:
    """The replicas that have so many threads."""
    return math.ceil(threads / crew.threads - ROUNDING)
