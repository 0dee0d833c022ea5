"""The service by which an application enqueues its jobs.

    queues = QueueService.from_environment()
    queues.initialize()
    queues.enqueue(greet, Greet(organization_id="acme", name="Ada"), delay=60)

One for a process; threads may share it, and it outlives a fork. Where no Redis is configured it is disabled: nothing is
enqueued, and each receipt says so. Where Redis is away, a call fails within seconds: see `connection`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar

from dramatiq.message import Message

from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues.connection import make_bounded_client, told_of
from crewcall_worker.queues.job import JobType, Priority
from crewcall_worker.queues.messages import make_message
from crewcall_worker.queues.payload import Payload
from crewcall_worker.settings import Settings, from_environment
from crewcall_worker.wire import ENV_REDIS_URL

P = TypeVar("P", bound=Payload)
Seconds = float | timedelta

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What became of what was to be enqueued."""

    ENQUEUED = "enqueued"
    DUPLICATE = "duplicate"
    """A job with this key is there already: the receipt has that one's id."""
    DISABLED = "disabled"
    """There is no Redis: nothing was enqueued."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """`id` is the job's, the same for all its tries; empty where the service is disabled."""

    id: str
    outcome: Outcome = Outcome.ENQUEUED

    @property
    def is_duplicate(self) -> bool:
        return self.outcome is Outcome.DUPLICATE

    @property
    def is_enqueued(self) -> bool:
        return self.outcome is Outcome.ENQUEUED


@dataclass(frozen=True, slots=True)
class NewJob(Generic[P]):
    """What `enqueue` takes, as a value, for `enqueue_many`."""

    job: JobType[P]
    payload: P
    delay: Seconds | None = None
    priority: Priority | None = None
    dedupe_key: str | None = None


class QueueService:
    """Enqueues typed jobs. `broker` is None where the service is disabled."""

    def __init__(self, settings: Settings | None) -> None:
        """No settings: disabled. Raises `BadSetting`; nothing is connected yet."""
        self.endpoint = settings.redis_endpoint if settings else ""
        self.broker: CrewcallBroker | None = None
        if settings is None:
            log.warning("No Redis is configured: jobs are not enqueued. Set REDIS_URL")
        else:
            client = make_bounded_client(settings)
            self.broker = CrewcallBroker(client=client, namespace=settings.redis_namespace, middleware=[])

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """By REDIS_URL. Raises `BadSetting`."""
        return cls(from_environment(environment) if environment.get(ENV_REDIS_URL) else None)

    @property
    def enabled(self) -> bool:
        """Whether there is a Redis to enqueue into."""
        return self.broker is not None

    def enqueue(
        self,
        job: JobType[P],
        payload: P,
        *,
        delay: Seconds | None = None,
        priority: Priority | None = None,
        dedupe_key: str | None = None,
    ) -> Receipt:
        """Enqueue a job, to be run at once or after `delay` (seconds).

        `priority` and `dedupe_key` stand in for those of the job type. Raises `QueueUnavailable`, `InvalidPayload`.
        """
        return self.enqueue_many([NewJob(job, payload, delay, priority, dedupe_key)])[0]

    def enqueue_many(self, jobs: Iterable[NewJob[Any]]) -> list[Receipt]:
        """Enqueue these, in their order; a receipt for each. Raises as `enqueue` does; where one payload is invalid,
        none of them is enqueued."""
        messages = [
            (make_message(new.job, new.payload, priority=new.priority, dedupe_key=new.dedupe_key), _ms(new.delay))
            for new in jobs
        ]
        if self.broker is None:
            return [Receipt("", Outcome.DISABLED) for _ in messages]
        with told_of(self.endpoint):
            return _send(self.broker, messages)

    def shutdown(self) -> None:
        """Close the connections. What was enqueued is safe; a later call connects anew."""
        if self.broker is not None:
            self.broker.client.close()


def _send(broker: CrewcallBroker, messages: Iterable[tuple[Message[Any], int | None]]) -> list[Receipt]:
    return [Receipt(broker.outbox.enqueue(message, delay=delay).message_id) for message, delay in messages]


def _ms(delay: Seconds | None) -> int | None:
    if delay is None:
        return None
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"delay is {delay!r}; expected seconds, 0 or more")
    return round(seconds * 1000)
