"""The agenda: what will happen when, and what time it is. Of events at one time the first planned comes first."""

from __future__ import annotations

from enum import IntEnum
from heapq import heappush

from crewcall_operator.simulation.replicas import Replica


class Event(IntEnum):
    """What may happen beside arrivals and looks: to a job, to a replica, to Redis."""

    END = 0
    RETURN = 1
    READY = 2
    GRACE_OVER = 3
    KILL = 4
    OUT = 5
    BACK = 6


class Agenda:
    """`heap` holds (when, number, event, job, replica); `now` is in seconds."""

    __slots__ = ("_number", "heap", "now")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Event, int, Replica | None]] = []
        self.now = 0.0
        self._number = 0

    def plan(self, at: float, event: Event, job: int = -1, replica: Replica | None = None) -> None:
        self._number += 1
        heappush(self.heap, (at, self._number, event, job, replica))
