"""Schedules: when each is due next, and what it enqueues."""

from __future__ import annotations

from dataclasses import dataclass, replace

from crewcall_worker.board.reading.source import Source
from crewcall_worker.queues.schedules import Schedules, ScheduleView


@dataclass(frozen=True, slots=True)
class ScheduleList:
    """Every schedule, by name."""

    now_ms: int
    schedules: tuple[ScheduleView, ...]


def read_schedules(source: Source) -> ScheduleList:
    """Every schedule: in one round trip, and one for the time."""
    found = Schedules(source.client, source.namespace).all()
    hide = source.hide
    return ScheduleList(
        source.now_ms(),
        tuple(
            replace(it, payload=hide(it.payload), organization_id=hide.of_organization(it.organization_id))
            for it in found
        ),
    )
