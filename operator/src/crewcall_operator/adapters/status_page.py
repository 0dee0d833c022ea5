"""A pool's page: its status as the cluster has it and as it shall be, and what of it Events have told.

Pure. Sending what waits is the status writer's part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from crewcall_operator.ports import Report

#: Seconds within which a pool's trouble of one kind is told once: a Redis that comes and goes is one story.
ONE_STORY = 60.0

#: Seconds within which a pool's changes of replicas for one reason are told once, as one change.
ONE_CHANGE = 10.0


@dataclass(slots=True)
class StatusPage:
    """One pool's status: as the cluster has it, and as it shall be (None where nothing waits)."""

    uid: str
    written: Mapping[str, Any]
    written_at: float
    waiting: Mapping[str, Any] | None = None
    told: dict[str, float] = field(default_factory=dict)
    changes: dict[str, Report] = field(default_factory=dict)
    changes_told: dict[str, float] = field(default_factory=dict)
    refused_until: float | None = None

    @property
    def latest(self) -> Mapping[str, Any]:
        return self.written if self.waiting is None else self.waiting

    def changed(self, reason: str, report: Report) -> None:
        """The replicas were changed; what was not told yet for this reason is one change with it."""
        untold = self.changes.get(reason)
        if untold is not None and untold.fleet is not None and report.fleet is not None:
            report = replace(report, fleet=replace(report.fleet, current=untold.fleet.current))
        self.changes[reason] = report

    def changes_to_tell(self, now: float) -> list[Report]:
        """The changes that it is time to tell of."""
        due = [reason for reason in self.changes if now - self.changes_told.get(reason, -ONE_CHANGE) >= ONE_CHANGE]
        self.changes_told |= dict.fromkeys(due, now)
        found = [self.changes.pop(reason) for reason in due]
        return [it for it in found if it.fleet is not None and it.fleet.current != it.replicas]

    def is_news(self, reason: str, now: float) -> bool:
        """Whether that is to be told, as it was not lately; then it counts as told."""
        if now - self.told.get(reason, -ONE_STORY) < ONE_STORY:
            return False
        self.told[reason] = now
        return True
