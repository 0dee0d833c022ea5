"""Saturation: whether more threads still bring more jobs done, or something behind the workers holds them up.

Pure and immutable; each look gives what follows. Tested on throughput: while jobs wait, so that every thread has work,
stretches of time are kept with the threads that were busy and the jobs that were done. Where a stretch with half as
many threads again as an earlier one did little more, what they all call (a database, an API) has no more to give: the
bottleneck law, throughput never exceeds what the busiest resource allows (Denning & Buzen, The Operational Analysis of
Queueing Network Models, 1978; Gunther, Guerrilla Capacity Planning, 2007, chapter 4). No model of the workload is
asked: rising service times alone may be longer jobs, and a flat throughput alone may be a lack of work.

Compared is at one mix of queues: each queue's jobs are taken at the time that they took in either stretch. A stretch
begins a service time after the threads changed, lasts two, and has enough jobs for chance to be told from an effect;
two in a row have to say the same.
Fails when: jobs of one queue become longer just when threads are added (it looks the same); the workload never lacks
threads, or never had fewer (nothing to compare: no verdict).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from crewcall_operator.core.counters import Counters
from crewcall_operator.core.observation import Observation

#: Seconds that a stretch lasts at least, and for how long it is compared with later ones.
SHORTEST, KEPT_FOR = 20.0, 900.0

#: Jobs of a queue that a stretch takes.
FEWEST_JOBS = 30

#: The share by which the threads may change within a stretch, and the factor between two that are compared.
SAME, MORE = 0.2, 1.4

#: The share of their threads that workers keep busy while jobs wait.
FULL = 0.8

#: The share of the throughput that more threads should have brought, of which less is taken for nothing.
WORTH = 0.4

#: Standard errors that a difference has to exceed.
BEYOND_CHANCE = 2.0

#: By how much throughput has to rise at the same threads for the bottleneck to be gone; seconds without a backlog.
RELIEVED, FORGOTTEN_AFTER = 1.3, 60.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `since` until `at`, `threads` were busy on average. By queue, what was done and how long it took."""

    since: float
    at: float
    threads: float
    done: Mapping[str, Counters]

    @property
    def jobs(self) -> int:
        return sum(done.ended for done in self.done.values())

    @property
    def rate(self) -> float:
        """Jobs done per second."""
        return self.jobs / (self.at - self.since)


@dataclass(frozen=True, slots=True)
class Saturated:
    """`more` threads did no more than `fewer`: `rate_with_fewer` and `rate_with_more` jobs per second."""

    fewer: float
    more: float
    rate_with_fewer: float
    rate_with_more: float

    def __str__(self) -> str:
        then = f"{self.fewer:.0f} busy threads did {self.rate_with_fewer:.3g} jobs/s"
        return f"{then}, {self.more:.0f} did {self.rate_with_more:.3g}: what they call has no more to give"


@dataclass(frozen=True, slots=True)
class _Measuring:
    """A stretch under way, from `since` on: until then the jobs begun with other threads are being finished."""

    since: float
    busy: int
    start: Mapping[str, Counters] | None = None


@dataclass(frozen=True, slots=True)
class Saturation:
    """`verdict` says that it is so; None where it is not, or nothing can be told."""

    verdict: Saturated | None = None
    stretches: tuple[Stretch, ...] = ()
    measuring: _Measuring | None = None
    is_suspected: bool = False
    backlogged_at: float = -math.inf

    def seeing(self, observed: Observation, totals: Mapping[str, Counters], now: float) -> Saturation:
        """After a look at `now`; `totals` are the pool's counters by queue."""
        crew = observed.crew
        if crew is None or not totals:
            return self
        if observed.outstanding - crew.busy < crew.busy or crew.busy < FULL * crew.ready * crew.threads:
            is_over = now - self.backlogged_at > FORGOTTEN_AFTER
            return replace(self, measuring=None, is_suspected=False, verdict=None if is_over else self.verdict)
        known = replace(self, backlogged_at=now)
        going = self.measuring
        if going is None or abs(crew.busy - going.busy) > SAME * going.busy + 1:
            return replace(known, measuring=_Measuring(now + _service(totals), crew.busy))
        if now < going.since:
            return known
        if going.start is None:
            return replace(known, measuring=replace(going, since=now, start=totals))
        stretch = _stretch(going.since, now, going.start, totals)
        if stretch is None:
            return known
        return known._judging(stretch, replace(going, since=now, start=totals))

    def _judging(self, new: Stretch, measuring: _Measuring) -> Saturation:
        earlier = tuple(old for old in self.stretches if old.at > new.at - KEPT_FOR)
        compared = [(old, gained) for old in earlier if (gained := _gain(old, new)) is not None]
        suspect = next((old for old, gained in reversed(compared) if gained < WORTH), None)
        verdict = self.verdict
        if suspect is not None and self.is_suspected:
            verdict = Saturated(suspect.threads, new.threads, suspect.rate, new.rate)
        elif verdict is not None and suspect is None and (compared or new.rate > RELIEVED * verdict.rate_with_more):
            verdict = None
        return replace(
            self,
            verdict=verdict,
            stretches=(*earlier, new),
            measuring=measuring,
            is_suspected=suspect is not None,
        )


def _stretch(since: float, now: float, start: Mapping[str, Counters], end: Mapping[str, Counters]) -> Stretch | None:
    """What was done in between; None where that is not enough to be compared."""
    done = {name: _between(start[name], end[name]) for name in end if name in start}
    jobs, busy = sum(it.ended for it in done.values()), sum(it.busy for it in done.values())
    seconds = now - since
    if seconds < SHORTEST or jobs < FEWEST_JOBS or seconds < 2 * busy / jobs:
        return None
    return Stretch(since, now, busy / seconds, done)


def _between(start: Counters, end: Counters) -> Counters:
    return Counters(end.arrived - start.arrived, end.ended - start.ended, end.busy - start.busy)


def _gain(old: Stretch, new: Stretch) -> float | None:
    """Of the throughput that the added threads should have brought, the share that they may have brought at most.

    None where the two cannot be compared.
    """
    more = new.threads / old.threads if old.threads > 0 else 0.0
    names = [name for name, done in new.done.items() if done.ended >= FEWEST_JOBS and _jobs(old, name) >= FEWEST_JOBS]
    jobs_then, jobs_now = (sum(_jobs(it, name) for name in names) for it in (old, new))
    if more < MORE or 2 * jobs_then <= old.jobs or 2 * jobs_now <= new.jobs:
        return None
    then = sum(old.done[name].busy for name in names)
    now = sum(_jobs(old, name) * new.done[name].busy / new.done[name].ended for name in names)
    risen = more * then / now if now > 0 else more
    at_most = risen * (1.0 + BEYOND_CHANCE * math.sqrt(1.0 / jobs_then + 1.0 / jobs_now))
    return (at_most - 1.0) / (more - 1.0)


def _jobs(stretch: Stretch, name: str) -> int:
    return stretch.done[name].ended if name in stretch.done else 0


def _service(totals: Mapping[str, Counters]) -> float:
    """Mean service time since ever, in seconds, of the slowest queue; a second where none is known."""
    return max((it.busy / it.ended for it in totals.values() if it.ended), default=1.0)


UNTRIED = Saturation()
