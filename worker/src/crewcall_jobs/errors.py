"""The failures that the jobs expect. Each text is one line for people, and names nobody: it goes into logs and dead
letters.

A `Reject` (of `crewcall_worker.queues`) is never tried again; these are.
"""

from __future__ import annotations

from crewcall_worker.queues import TryAgain


class JobFailed(TryAgain):
    """The parent of what may be better at the next try, whenever the job type's policy has that."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, after=0.0)


class Unreachable(JobFailed):
    """Nobody answered, or not to the end, or not in time."""

    def __init__(self, whom: str, why: str) -> None:
        super().__init__(f"{whom}: {why}")


class Undelivered(JobFailed):
    """Somebody answered, but did not take it this time."""


class NothingFound(JobFailed):
    """A page has nothing where a rule looks. That is not a change: what is not seen is unknown."""


class Overtaken(JobFailed):
    """Another run of the same rule has stored its result first."""
