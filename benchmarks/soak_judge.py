"""The judge of a soak: every change of replicas that an operator makes, against what was so when it was asked for.

The soak alone fills the queues, breaks the Redises and scales by hand, so it knows the truth that operators can only
look at. A change is wrong where

- it goes outside minReplicas and maxReplicas;
- the pool's Redis had been away or frozen for more than `UNDER_WAY` by then: the operator was blind. Bounds and
  schedule are known all the same, so it may set right what a hand or a Deployment made anew has put outside them;
- it adds replicas beyond all that the queue can have asked for in the last `STALE` seconds;
- it takes replicas away below what the queue has asked for within the stabilization window, for long enough that
  whoever looks at leisure must have seen it;
- it makes a Deployment for a pool that was gone for longer than `GHOST`.

How many replicas a promise (`queueLatency`) needs goes by what came and was done, and by how long replicas take to
start; that is the simulator's to judge. Here such a pool is held to what is certain of it: its bounds, no change while
blind, and a replica at least while anything waits.

Who wrote without the lease is told by `tests.support.succession`. Times are in seconds of `time.monotonic`, those of a
request its arrival at the API server: what waits there was decided on before.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.apiserver import Entry

from crewcall_operator.turn import SEEN_FOR

WINDOW = 8.0
EACH = 10
LEAST, MOST = 0, 10

#: From the last look that succeeded until its patch is there, which is as long as it is acted on and, where a borrowed
#: Deployment is marked first, one slow answer more; from a change of the queue until all that was seen before
#: it counts no more; how long a level must have been there to have been seen for sure; from a pool's end until all that
#: was on its way by then is there, which is two requests where each takes its time.
UNDER_WAY, STALE, SEEN, GHOST = SEEN_FOR + 2.0, 5.0, 3.0, 4.0

Name = tuple[str, str]
"""Namespace and name."""


@dataclass(slots=True)
class Level:
    """So many jobs, put there between `asked` and `since`, which is never while that goes on."""

    jobs: int
    asked: float
    since: float = math.inf


@dataclass(slots=True)
class Subject:
    """One pool: the Deployment it scales, the Redis that its queue is on, and the levels of that queue.

    Its target is a promise, or else `EACH` jobs for each replica.
    """

    target: Name
    redis: str
    floor: int = LEAST
    promises: bool = False
    levels: list[Level] = field(default_factory=list)
    gone_since: float | None = None

    def wanted(self, level: Level) -> tuple[int, int]:
        """At least, and at most."""
        if self.promises:
            return self.bounded(min(level.jobs, 1)), MOST
        replicas = self.bounded(math.ceil(level.jobs / EACH))
        return replicas, replicas

    def bounded(self, replicas: int) -> int:
        """As many as the spec alone allows, with its schedule, whatever the queue holds."""
        return min(max(replicas, self.floor), MOST)

    def highest_possible(self, since: float, until: float) -> int:
        """The most that anybody can have seen asked for in that time."""
        ends = [*(level.since for level in self.levels[1:]), math.inf]
        pairs = zip(self.levels, ends, strict=True)
        return max([self.floor, *(self.wanted(it)[1] for it, end in pairs if it.asked <= until and end >= since)])

    def highest_certain(self, since: float, until: float, blind: list[tuple[float, float]]) -> int:
        """The most that was asked for in that time, for so long and in such a way that everybody has seen it."""
        ends = [*(level.asked for level in self.levels[1:]), math.inf]
        spans = [(it, max(it.since, since), min(end, until)) for it, end in zip(self.levels, ends, strict=True)]
        clear = [it for it, a, b in spans if b - a >= SEEN and not any(start < b and end > a for start, end in blind)]
        return max([self.floor, *(self.wanted(it)[0] for it in clear)])


@dataclass(slots=True)
class Judge:
    """Sees each request as it is answered; `wrong` are the changes that should not have been made."""

    subjects: dict[Name, Subject] = field(default_factory=dict)
    operators: dict[str, str] = field(default_factory=dict)
    replicas: dict[Name, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    changes: int = 0
    _blind: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    @contextmanager
    def blinding(self, who: str) -> Iterator[None]:
        """Within this, that Redis answers nobody, or that operator sees nothing."""
        spans = self._blind.setdefault(who, [])
        spans.append((time.monotonic(), math.inf))
        at = len(spans) - 1
        try:
            yield
        finally:
            spans[at] = (spans[at][0], time.monotonic())

    def saw(self, entry: Entry) -> None:
        """A request was answered."""
        if not entry.is_accepted_write or entry.token not in self.operators or entry.resource != "deployments.apps":
            return
        asked = (entry.body.get("spec") or {}).get("replicas") if isinstance(entry.body, dict) else None
        if entry.verb == "create":
            target = (entry.namespace, entry.body["metadata"]["name"])
            self._judge_making(entry, target)
            self.replicas[target] = asked or 0
        elif asked is not None:
            target = (entry.namespace, entry.name)
            self._judge_scaling(entry, target, self.replicas.get(target, 0), asked)
            self.replicas[target] = asked

    def _judge_making(self, entry: Entry, target: Name) -> None:
        gone_since = self._subject(target).gone_since
        if gone_since is not None and entry.at - gone_since > GHOST:
            self._condemn(entry, target, f"made for a pool that was gone for {entry.at - gone_since:.1f} s")

    def _judge_scaling(self, entry: Entry, target: Name, before: int, after: int) -> None:
        self.changes += 1
        subject, at = self._subject(target), entry.at
        change = f"{before} -> {after}"
        unsure = self._blind.get(subject.redis, [])
        if not LEAST <= after <= MOST:
            self._condemn(entry, target, f"{change}: outside {LEAST}-{MOST}")
        for start, end in unsure:
            if start + UNDER_WAY < at < end and after != subject.bounded(before):
                self._condemn(entry, target, f"{change}: blind for {at - start:.1f} s")
        if after > before and after > (most := subject.highest_possible(at - STALE, at)):
            self._condemn(entry, target, f"{change}: no more than {most} were asked for")
        writer = self._blind.get(entry.token, [])
        least = subject.highest_certain(at - WINDOW + SEEN, at - 0.5, [*unsure, *writer])
        if after < before and after < least:
            self._condemn(entry, target, f"{change}: {least} were asked for within the window")

    def _subject(self, target: Name) -> Subject:
        return next(it for it in self.subjects.values() if it.target == target)

    def _condemn(self, entry: Entry, target: Name, why: str) -> None:
        self.wrong.append(f"{self.operators[entry.token]} at {entry.at:.1f}: {'/'.join(target)} {why}")
