"""Flow: how fast work arrives at a pool and how long it takes, estimated from what its workers count.

Pure and immutable; each look gives the flow that follows. Times in seconds, rates in jobs per second, loads in threads.

Service time: thread-seconds spent per job ended, both fading with a half-life of ten minutes. Time spent on jobs that
still run counts at once, so an hour-long job is noticed within seconds, not after the hour. A few jobs of one second
stand in for what is not known yet; where the counters already tell of jobs, their average does.
Fails when: service times change within minutes (the estimate lags by its half-life); jobs end without being counted
(killed workers: it errs on the long side).

Arrival rate: two averages with exponential weights, corrected for their start, a slow one, and a fast one that
replaces it while it exceeds it by more than chance would (two standard deviations of a Poisson count over the fast
one's memory). Fails when: bursts are shorter than the look's interval; those are seen as backlog.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from crewcall_operator.core.counters import Counters

HALF_LIFE = 600.0
FAST, SLOW = 20.0, 180.0
#: Jobs, and seconds each, that are assumed before any was seen.
ASSUMED_JOBS, ASSUMED_SERVICE = 5.0, 1.0


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
        return Rate(
            self.memory, events=self.events * kept + events * weight, seconds=self.seconds * kept + seconds * weight
        )

    @property
    def per_second(self) -> float:
        return self.events / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class QueueFlow:
    """One queue's estimates. `last` is what was counted at the last look."""

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
        """Mean service time in seconds."""
        return self.busy / self.ended

    @property
    def arrivals(self) -> float:
        """Jobs per second."""
        fast, slow = self.fast.per_second, self.slow.per_second
        return fast if fast > slow + 2.0 * math.sqrt(slow / (2.0 * FAST)) else slow

    def seeing(self, counted: Counters, seconds: float) -> QueueFlow:
        """After another look, `seconds` after the last one."""
        arrived, ended = counted.arrived - self.last.arrived, counted.ended - self.last.ended
        busy = counted.busy - self.last.busy
        if arrived < 0 or ended < 0 or busy < -1e-6:
            return replace(self, last=counted)  # somebody deleted the counters: how much is missing nobody knows
        kept = 0.5 ** (seconds / HALF_LIFE)
        return QueueFlow(
            counted,
            busy=self.busy * kept + max(0.0, busy),
            ended=self.ended * kept + ended,
            fast=self.fast.adding(arrived, seconds),
            slow=self.slow.adding(arrived, seconds),
        )


@dataclass(frozen=True, slots=True)
class Flow:
    """What is known of a pool's queues, as seen at `at`, None before the first look."""

    at: float | None = None
    queues: Mapping[str, QueueFlow] = field(default_factory=dict)

    def seeing(self, counted: Mapping[str, Counters], now: float) -> Flow:
        """After a look at `now` that found these counters by queue. Without any, nothing is learned."""
        if not counted or now == self.at:
            return self
        seconds = 0.0 if self.at is None else now - self.at
        return Flow(now, {name: self._after(name, counters, seconds) for name, counters in counted.items()})

    def _after(self, name: str, counted: Counters, seconds: float) -> QueueFlow:
        known = self.queues.get(name)
        return QueueFlow.beginning(counted) if known is None else known.seeing(counted, seconds)


NOTHING_KNOWN = Flow()
