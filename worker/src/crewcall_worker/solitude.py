"""Who runs beside whom in a worker: jobs side by side, but one that is about to be convicted of killing it, alone.

A job beside a killer dies with it, and Redis cannot tell which of them it was; of one that runs alone it can. So a
suspect that is one death short of being a dead letter waits until nothing else runs, and nothing else begins until it
has ended. Pure but for its waiting; who is a suspect is said in `admission`, what a death counts, in `lua/recover.lua`.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition

LOOK_UP_EVERY = 0.25  # seconds; who ends wakes those that wait, who closes the intake does not


class Solitude:
    """Each job's thread passes `enter` before it begins, and if that lets it, `leave` when it has ended."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._running = 0
        self._is_alone = False
        self._waiting = 0  # to be alone: they go first, for a busy worker would never be empty by itself

    def enter(self, *, alone: bool, may_wait: Callable[[], bool]) -> bool:
        """Come back when the job may begin; false where it would have to wait and may not, or no longer."""
        with self._changed:
            self._waiting += alone
            try:
                while self._running if alone else self._is_alone or self._waiting:
                    if not may_wait():
                        return False
                    self._changed.wait(LOOK_UP_EVERY)
                self._running += 1
                self._is_alone = alone
                return True
            finally:
                if alone:
                    self._waiting -= 1
                    self._changed.notify_all()

    def leave(self) -> None:
        """The job has ended."""
        with self._changed:
            self._running -= 1
            if self._is_alone or self._waiting:  # else nobody waits
                self._is_alone = False  # who was alone is the only one to leave
                self._changed.notify_all()
