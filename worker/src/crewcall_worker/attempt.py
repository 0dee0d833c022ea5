"""An attempt at a job, what became of it, and which one a thread is in. Standard library only, for the log."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt is known by. `attempt` is 1 at the first one; None is what there is not."""

    job: str
    job_id: str
    queue: str
    attempt: int
    organization: str | None = None
    trace_id: str | None = None
    span_id: str | None = None


class Outcome(StrEnum):
    """What became of an attempt."""

    DONE = "done"
    RETRIED = "retried"
    FAILED = "failed"
    """For good: a dead letter."""
    SKIPPED = "skipped"
    """A middleware left it out: a tick of a schedule that came too late, say."""


CURRENT: ContextVar[Attempt | None] = ContextVar("crewcall_attempt", default=None)
"""The attempt that the present thread or coroutine is in."""
