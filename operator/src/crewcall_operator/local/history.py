"""What happened to the pools of one run: the ticks as they were reported, and the moments when something changed.

A Reporter that keeps records, for the terminal and the picture to be made of. Times are seconds on the engine's clock.
An entry's time is when the engine had done what it tells of: a decision's, once the replicas were changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from crewcall_operator.api.happenings import happenings
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.core.decision import Reason
from crewcall_operator.ports import Clock, Report

REPORTS_KEPT = 7200
ENTRIES_KEPT = 200


#: What may be wrong in a report, and what is said once it is not.
_OVER = {
    "unavailable": "Redis answers again",
    "failure": "scales again",
    "unordered": "orders can be written again",
}


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision or its reason changed; `applied` where the replicas were changed from `before` to `after`."""

    at: float
    key: PoolKey
    before: int
    after: int
    reason: Reason
    message: str
    applied: bool


@dataclass(frozen=True, slots=True)
class Happened:
    """Something befell the pool that nobody decided: a worker died, Redis went away or came back."""

    at: float
    key: PoolKey
    text: str


Entry = Decided | Happened


@dataclass(slots=True)
class History:
    """Implements `ports.Reporter`. `follow` is given each entry as it is made."""

    clock: Clock
    follow: Callable[[Entry], None] = field(default=lambda _: None)
    reports: dict[PoolKey, deque[Report]] = field(default_factory=dict)
    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=ENTRIES_KEPT))

    def report(self, report: Report) -> None:
        key = report.pool.key
        kept = self.reports.setdefault(key, deque(maxlen=REPORTS_KEPT))
        before = kept[-1] if kept else None
        kept.append(report)
        self._note_trouble(before, report)
        self._note_saturation(before, report)
        for told in happenings(report):
            self.happened(key, told.message)
        if _is_news(before, report) and report.decision is not None and report.fleet is not None:
            decision = report.decision
            self._add(
                Decided(
                    self.clock(),
                    key,
                    report.fleet.current,
                    decision.replicas if report.replicas is None else report.replicas,
                    decision.reason,
                    decision.message,
                    report.applied,
                )
            )

    def forget(self, key: PoolKey) -> None:
        self.reports.pop(key, None)

    def happened(self, key: PoolKey, text: str) -> None:
        """Note what befell a pool or one of its workers."""
        self._add(Happened(self.clock(), key, text))

    def applied(self, key: PoolKey) -> tuple[Decided, ...]:
        """The decisions that changed the pool's replicas, oldest first."""
        return tuple(e for e in self.entries if isinstance(e, Decided) and e.key == key and e.applied)

    def _note_trouble(self, before: Report | None, now: Report) -> None:
        for name, again in _OVER.items():
            was, is_now = str(getattr(before, name, None) or ""), str(getattr(now, name) or "")
            if is_now and is_now != was:
                self.happened(now.pool.key, is_now)
            elif was and not is_now:
                self.happened(now.pool.key, again)

    def _note_saturation(self, before: Report | None, now: Report) -> None:
        was, found = (it.estimate.saturated if it is not None and it.estimate else None for it in (before, now))
        if found is not None and was is None:
            self.happened(now.pool.key, f"more workers do not help: {found}")

    def _add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.follow(entry)


def _is_news(before: Report | None, now: Report) -> bool:
    if now.applied or before is None:
        return True
    return before.decision != now.decision  # compares replicas and reason, never the words
