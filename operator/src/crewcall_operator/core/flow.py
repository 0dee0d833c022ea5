"""Flow: how fast work arrives at a pool and how long it takes, estimated from what its workers count.

Pure and immutable; each look gives the flow that follows. Times in seconds, rates in jobs per second.

Service time: thread-seconds spent per job ended, both fading with a half-life of ten minutes. Time spent on jobs that
still run counts at once, so an hour-long job is noticed within seconds, not after the hour. Two jobs of one second
stand in for what is not known yet; where the counters tell of earlier jobs, their average does. As few jobs tell
little, two standard errors are added, a job's deviation taken for as large as the mean (as of an exponential).
Fails when: service times change within minutes (the estimate lags by its half-life); jobs end without being counted
(killed workers: it errs on the long side).

Arrival rate: two averages with exponential weights, corrected for their start but for the first seconds: a slow one,
and a fast one that replaces it while it exceeds it by three standard deviations of a Poisson stream, which chance does
not do for long. The test is on square roots of counts (Anscombe, 1948), which holds for small ones as well. A single
arrival tells no rate.
Fails when: bursts are shorter than the fast one's memory, or jobs rarer than the slow one's; those are met as backlog.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from crewcall_operator.core.bursts import NO_BURSTS, Bursts
from crewcall_operator.core.counters import Counters
from crewcall_operator.core.observation import QueueState

#: Seconds after which a job counts half.
HALF_LIFE = 600.0

#: Seconds that the averages of arrivals remember.
FAST, SLOW = 20.0, 180.0

#: The share of its memory that a rate is taken to be of at least: what the first moment tells is mostly chance.
RELIABLE_AFTER = 0.25

#: Events that it takes to tell a rate: more than a single one, which makes no gap that could be measured.
SEVERAL = 1.1

#: Standard deviations by which the fast average has to exceed the slow one.
BEYOND_CHANCE = 3.0

#: Jobs, and seconds each, that are assumed before any was seen.
ASSUMED_JOBS, ASSUMED_SERVICE = 2.0, 1.0

#: Of the jobs that were seen so many never fade: a pool that rests for weeks still knows how long they took.
KEPT_JOBS = 0.01

#: Seconds that a job is taken to last at least, as workers count whole milliseconds, and at most: three years.
LEAST_SERVICE, MOST_SERVICE = 0.001, 1e8

#: Standard errors added to the service time, and the jobs that it is thought to be of at least.
STANDARD_ERRORS, FEWEST = 2.0, 4.0


@dataclass(frozen=True, slots=True)
class Rate:
    """An average of events per second over about the last `memory` seconds."""

    memory: float
    events: float = 0.0
    seconds: float = 0.0

    def adding(self, events: float, seconds: float) -> Rate:
        """After `events` in the last `seconds`, spread evenly."""
        kept = math.exp(-seconds / self.memory)
        weight = self.memory * (1.0 - kept) / seconds
        return Rate(self.memory, self.events * kept + events * weight, self.seconds * kept + seconds * weight)

    @property
    def per_second(self) -> float:
        """Zero until several events have told it."""
        return self.events / self._of if self.events >= SEVERAL else 0.0

    @property
    def window(self) -> float:
        """The seconds in which a plain count would vary as much as this average does."""
        return 2.0 * self.memory * self._of / (2.0 * self.memory - self._of)

    @property
    def _of(self) -> float:
        return max(self.seconds, RELIABLE_AFTER * self.memory)


@dataclass(frozen=True, slots=True)
class QueueFlow:
    """One queue's estimates. `last` is what was counted at the last look; `busy` seconds went into `ended` jobs."""

    last: Counters
    busy: float
    ended: float
    fast: Rate = Rate(FAST)
    slow: Rate = Rate(SLOW)

    @classmethod
    def beginning(cls, counted: Counters) -> QueueFlow:
        """Before anything is known but how much there was of it in all time."""
        known = counted.busy / counted.ended if counted.ended else ASSUMED_SERVICE
        return cls(counted, busy=known * ASSUMED_JOBS, ended=ASSUMED_JOBS)

    @property
    def service(self) -> float:
        """Mean service time in seconds, as long as it may well be."""
        likely = self.busy / self.ended * (1.0 + STANDARD_ERRORS / math.sqrt(self.ended + FEWEST))
        return min(MOST_SERVICE, max(LEAST_SERVICE, likely))

    @property
    def arrivals(self) -> float:
        """Jobs per second."""
        fast, slow = self.fast.per_second, self.slow.per_second
        # Twice the root of a Poisson count has a deviation of one, however small the count: three jobs in a quiet queue
        # may be a burst, one or two are chance.
        counted, expected = fast * self.fast.window, slow * self.fast.window
        return fast if 2.0 * (math.sqrt(counted) - math.sqrt(expected)) > BEYOND_CHANCE else slow

    @property
    def deviation(self) -> float:
        """The standard deviation of the slow average, in jobs per second, were it of a Poisson stream."""
        return math.sqrt(self.slow.per_second / (2.0 * SLOW))

    def seeing(self, counted: Counters, seconds: float) -> QueueFlow:
        """After another look, `seconds` after the last one."""
        arrived, ended = counted.arrived - self.last.arrived, counted.ended - self.last.ended
        busy = counted.busy - self.last.busy
        if arrived < 0 or ended < 0:
            return replace(self, last=counted)  # somebody deleted the counters: what is missing nobody knows
        kept = max(0.5 ** (seconds / HALF_LIFE), KEPT_JOBS / self.ended)  # at most all: there are never fewer
        return QueueFlow(
            counted,
            busy=self.busy * kept + max(0.0, busy),
            ended=self.ended * kept + ended,
            fast=self.fast.adding(arrived, seconds),
            slow=self.slow.adding(arrived, seconds),
        )


@dataclass(frozen=True, slots=True)
class Flow:
    """What is known of a pool's queues, as seen at `at`; nothing has arrived for `idle` seconds."""

    at: float | None = None
    queues: Mapping[str, QueueFlow] = field(default_factory=dict)
    bursts: Bursts = NO_BURSTS
    idle: float = math.inf

    def knows(self, queues: Iterable[QueueState]) -> bool:
        """Whether the counters of all of them could be read, and are in here."""
        return all(queue.counters is not None and queue.name in self.queues for queue in queues)

    def seeing(self, counted: Mapping[str, Counters], now: float, paused: Collection[str] = ()) -> Flow:
        """After a look at `now` that found these counters by queue. Without any, nothing is learned.

        What comes to `paused` queues is no burst, for nobody is to work on it now.
        """
        if not counted or now == self.at:
            return self
        seconds = 0.0 if self.at is None else now - self.at
        queues: dict[str, QueueFlow] = {}
        jobs = 0
        for name, counters in counted.items():
            known = self.queues.get(name)
            queues[name] = QueueFlow.beginning(counters) if known is None else known.seeing(counters, seconds)
            jobs += 0 if known is None or name in paused else max(0, counters.arrived - known.last.arrived)
        return Flow(now, queues, self.bursts.adding(jobs, now), 0.0 if jobs else self.idle + seconds)


NOTHING_KNOWN = Flow()
