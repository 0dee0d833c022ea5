"""What a simulated autoscaler sees, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Look(NamedTuple):
    """The pool at `at` seconds. Jobs: `ready` in the list, `held` by workers, `running` of them; `delayed` not due yet,
    `due` but with nobody to move them. `due_in` are the seconds until the next ones are due, of a minute's.

    Replicas: `asked` for, `working`, `draining` (of those that work) and `starting`. Counters only rise: jobs that
    `arrived`, were `started` and `done`, and `busy` seconds of all threads together. `startups` are the last start-up
    times, in seconds. `is_blind` where Redis was away: then nothing that comes from it may be used.

    A tuple, since there is one for each second of days.
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


@dataclass(frozen=True, slots=True)
class Care:
    """What becomes of replicas that are to go, and of the jobs of those that died; in seconds.

    Where `drains`, a replica that is one too many finishes what it runs before it is removed, and may be called back;
    elsewhere it is told to end and begins nothing more, but goes on fetching, and holds what it has until what it runs
    is done (dramatiq/worker.py, `Worker.stop`: its threads end first, then the consumers, then the rest is requeued);
    it is killed after `grace`. `recovery` is when the jobs of a killed one are back in their queue; where workers do
    not drain, it takes another one to give them back.
    """

    drains: bool = True
    grace: float = 600.0
    recovery: float = 2.0


#: With Crewcall's workers.
DRAINED = Care()

#: With plain Dramatiq workers in plain pods: Kubernetes' own grace period, and what Dramatiq takes for a lapse.
PLAIN = Care(drains=False, grace=30.0, recovery=60.0)


class Autoscaler(Protocol):
    """Something that scales a pool. It is asked every `interval` seconds."""

    @property
    def name(self) -> str: ...
    @property
    def interval(self) -> float: ...
    @property
    def care(self) -> Care: ...
    @property
    def least(self) -> int:
        """The replicas that it begins with and never goes below."""
        ...

    def wanted(self, look: Look) -> int:
        """The replicas that there shall be."""
        ...
