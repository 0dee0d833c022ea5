"""Replicas and the jobs they hold, as Dramatiq workers hold them.

A job goes to any replica that has room, picked at random: every worker with room fetches, and which is first is chance.
What a replica has no thread for it keeps, though another one may have a free thread: that is what prefetching costs.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum


class Phase(IntEnum):
    """How far a replica has come."""

    STARTING = 0
    WORKING = 1
    DRAINING = 2
    GONE = 3


class Replica:
    """One replica: `running` maps its running jobs to when they began, `held` are those it has no thread for yet.

    `place` is where it stands in the list of those with room, -1 where it has none. `ordered_at` is when it was last
    told to drain.
    """

    __slots__ = ("asked_at", "held", "name", "ordered_at", "phase", "place", "ready_at", "running")

    def __init__(self, name: str, asked_at: float, ready_at: float) -> None:
        self.name = name
        self.asked_at = asked_at
        self.ordered_at = 0.0
        self.ready_at = ready_at
        self.phase = Phase.STARTING
        self.place = -1
        self.running: dict[int, float] = {}
        self.held: deque[int] = deque()

    @property
    def youth(self) -> tuple[int, float]:
        """How short it has been ready, the shortest first; those that are not ready before all others."""
        return (self.phase, -self.ready_at)


class Room:
    """The replicas that can take one more job, to pick from in constant time."""

    __slots__ = ("_members",)

    def __init__(self) -> None:
        self._members: list[Replica] = []

    def __len__(self) -> int:
        return len(self._members)

    def pick(self, chance: float) -> Replica:
        """One of them; `chance` is in [0, 1)."""
        return self._members[int(chance * len(self._members))]

    def add(self, replica: Replica) -> None:
        if replica.place < 0:
            replica.place = len(self._members)
            self._members.append(replica)

    def remove(self, replica: Replica) -> None:
        place = replica.place
        if place >= 0:
            last = self._members.pop()
            if last is not replica:
                self._members[place] = last
                last.place = place
            replica.place = -1
