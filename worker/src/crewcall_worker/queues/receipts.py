"""What an application hands to the service and gets back: values, nothing that acts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from crewcall_worker.queues.job import JobType, Priority
from crewcall_worker.queues.payload import Payload

P = TypeVar("P", bound=Payload)

Seconds = float | timedelta


@dataclass(frozen=True, slots=True)
class AnyNewJob:
    """A `NewJob` of some payload. A class of its own: where a `NewJob[Any]` is expected, a type checker would take any
    payload for any job."""

    job: JobType[Any]
    payload: Payload
    delay: Seconds | None = None
    priority: Priority | None = None
    dedupe_key: str | None = None


@dataclass(frozen=True, slots=True)
class NewJob(AnyNewJob, Generic[P]):
    """What `enqueue` takes, as a value, for `enqueue_many`."""

    job: JobType[P]
    payload: P


class Outcome(StrEnum):
    """What became of what was to be enqueued."""

    ENQUEUED = "enqueued"
    DUPLICATE = "duplicate"
    """A job with this key was enqueued before, and its window is not over: the receipt has that one's id."""
    DISABLED = "disabled"
    """There is no Redis: nothing was enqueued."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """`id` is the job's, the same for all its tries; empty where the service is disabled."""

    id: str
    outcome: Outcome = Outcome.ENQUEUED

    @property
    def is_enqueued(self) -> bool:
        return self.outcome is Outcome.ENQUEUED

    @property
    def is_duplicate(self) -> bool:
        return self.outcome is Outcome.DUPLICATE


@dataclass(frozen=True, slots=True)
class Health:
    """Whether jobs can be enqueued. `problem` is empty where they can; `took` is seconds."""

    enabled: bool
    endpoint: str = ""
    problem: str = ""
    took: float = 0.0

    @property
    def is_ok(self) -> bool:
        return self.enabled and not self.problem
