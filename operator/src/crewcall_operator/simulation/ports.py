"""What a simulated autoscaler sees, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Look:
    """The pool at `at` seconds. Jobs: `ready` in the list, `held` by workers, `running` of them; `delayed` not due yet,
    `due` but with nobody to move them. `due_in` are the seconds until the next ones are due, of a minute's.

    Replicas: `asked` for, `working`, `draining` (of those that work) and `starting`. Counters only rise: jobs that
    `arrived`, were `started` and `done`, and `busy` seconds of all threads together. `startups` are the last start-up
    times, in seconds. `is_blind` where Redis was away: then nothing that comes from it may be used.
    """

    at: float
    ready: int
    held: int
    running: int
    delayed: int
    due: int
    due_in: tuple[float, ...]
    asked: int
    working: int
    draining: int
    starting: int
    arrived: int
    started: int
    done: int
    busy: float
    startups: tuple[float, ...]
    is_blind: bool


class Autoscaler(Protocol):
    """Something that scales a pool. It is asked every `interval` seconds.

    Where `drains`, a replica that is one too many finishes what it runs before it is removed, and may be called back;
    elsewhere it is told to end, holds what it has fetched until then, and is killed after `grace` seconds. `recovery`
    is after how many seconds the jobs of a killed one are back in their queue; where workers do not drain, it takes
    another worker to give them back.
    """

    @property
    def name(self) -> str: ...
    @property
    def interval(self) -> float: ...
    @property
    def drains(self) -> bool: ...
    @property
    def grace(self) -> float: ...
    @property
    def recovery(self) -> float: ...
    @property
    def least(self) -> int:
        """The replicas that it begins with and never goes below."""
        ...

    def wanted(self, look: Look) -> int:
        """The replicas that there shall be."""
        ...
