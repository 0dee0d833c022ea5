"""Work: what a pool's queues hold and what comes, booked by queue in thread-seconds.

Pure. Times in seconds, rates in jobs per second. A job takes as many threads as its queue's weight, for its queue's
service time: a thousand mails of 20 ms are less work than three reports of 10 s, and neither is measured by the other.
Estimates come from `flow`; what they call for is for `promise` to say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

from crewcall_operator.core.counters import Crew
from crewcall_operator.core.flow import Flow
from crewcall_operator.core.observation import Observation
from crewcall_operator.core.policy import Policy


@dataclass(frozen=True, slots=True)
class QueueWork:
    """One queue's: jobs that come per second, give or take `deviation`, seconds and threads that each takes.

    `running` jobs are at it, `waiting` are not, those that are due soon among them.
    """

    rate: float
    deviation: float
    service: float
    weight: float
    running: float
    waiting: float

    @property
    def size(self) -> float:
        """Thread-seconds of a job."""
        return self.service * self.weight

    def still_there(self, after: float) -> float:
        """The threads that what is there now takes so many seconds later, had each job its threads at once."""
        return (self.running + self.waiting) * self.weight * math.exp(-after / self.service)

    def seconds_within(self, time: float) -> float:
        """Thread-seconds that a job takes of so many seconds: all of a short one, hardly more than these of a long."""
        return -math.expm1(-time / self.service) * self.size


@dataclass(frozen=True, slots=True)
class Work:
    """All queues together."""

    queues: tuple[QueueWork, ...]

    @property
    def rate(self) -> float:
        """Jobs per second."""
        return sum(queue.rate for queue in self.queues)

    @property
    def load(self) -> float:
        """Threads that are busy on average."""
        return sum(queue.rate * queue.size for queue in self.queues)

    @property
    def service(self) -> float:
        """Thread-seconds of a job as jobs come, or of one of any queue where none come."""
        rate = self.rate
        return self.load / rate if rate else fmean(queue.size for queue in self.queues)

    @property
    def running_service(self) -> float:
        """Thread-seconds of a job that a thread is found at: long ones are met more often than they come."""
        load = self.load
        return sum(queue.rate * queue.size**2 for queue in self.queues) / load if load else self.service

    @property
    def deviation(self) -> float:
        """The standard deviation of `load`."""
        return math.hypot(*(queue.deviation * queue.size for queue in self.queues))

    def coming(self, within: float) -> Work:
        """The same with jobs as long as what they take of so many seconds, and none there yet."""
        return Work(
            tuple(
                QueueWork(it.rate, it.deviation, it.seconds_within(within) / it.weight, it.weight, 0.0, 0.0)
                for it in self.queues
            )
        )

    def still_there(self, after: float) -> float:
        """See `QueueWork`."""
        return sum(queue.still_there(after) for queue in self.queues)

    def leaving_deviation(self, after: float) -> float:
        """The standard deviation of that: each job that is there now is or is not by then."""
        return math.sqrt(
            sum(it.still_there(after) * -math.expm1(-after / it.service) * it.weight for it in self.queues)
        )

    def threads_for_backlog(self, coming_for: float, done: float, certainly_done: float, time: float) -> float:
        """Threads that do what waits, and what comes for `coming_for` seconds, within `time`.

        `done` thread-seconds of it are done before, evenly of all. A queue's jobs take no more threads than they can
        all at once, with those that run; there only what is `certainly_done` counts.
        """
        there = [(queue, queue.waiting + queue.rate * coming_for) for queue in self.queues]
        total = sum(queue.size * jobs for queue, jobs in there)
        if total <= 0.0:
            return 0.0
        left, at_most_left = max(0.0, 1.0 - done / total), max(0.0, 1.0 - certainly_done / total)
        return sum(
            queue.weight * min(jobs * queue.service * left / time, queue.running + jobs * at_most_left)
            for queue, jobs in there
        )


def work_of(policy: Policy, observed: Observation, crew: Crew, flow: Flow) -> Work:
    """What there is to do, by the estimates in `flow`."""
    weights = {queue.name: queue.weight for queue in policy.queues}
    fetched = sum(queue.in_flight for queue in observed.queues)
    # Which queue the running jobs are of nobody tells: they are spread as what was fetched.
    share = min(1.0, crew.busy / fetched) if fetched else 0.0
    queues = []
    for queue in observed.queues:
        known, running = flow.queues[queue.name], queue.in_flight * share
        there = queue.outstanding + queue.coming
        queues.append(
            QueueWork(
                # What comes to a paused queue is work once it goes on; then it is ready.
                rate=0.0 if queue.is_paused else known.arrivals,
                deviation=0.0 if queue.is_paused else known.deviation,
                service=known.service,
                weight=weights[queue.name],
                running=running,
                waiting=max(0.0, there - running),
            )
        )
    return Work(tuple(queues))
