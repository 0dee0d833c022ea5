"""The service by which an application enqueues its jobs.

    queues = QueueService.from_environment()
    queues.initialize()
    queues.enqueue(greet, Greet(organization_id="acme", name="Ada"), delay=60)

One for a process; threads may share it, and it outlives a fork. Where no Redis is configured it is disabled: nothing is
enqueued, and each receipt says so. Where Redis is away, a call fails within seconds: see `connection`. For asyncio:
`asynchronous`.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Self, TypeVar

from dramatiq.message import Message

from crewcall_worker import outbox
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues.connection import QueueUnavailable, make_bounded_client, told_of
from crewcall_worker.queues.counts import QueueCounts
from crewcall_worker.queues.job import CATALOGUE, JobType, Priority
from crewcall_worker.queues.messages import make_message
from crewcall_worker.queues.payload import Payload
from crewcall_worker.queues.plans import CatchUp
from crewcall_worker.queues.receipts import AnyNewJob, Health, NewJob, Outcome, Receipt, Seconds
from crewcall_worker.queues.retries import check_delay
from crewcall_worker.queues.schedules import GRACE, Schedules, ScheduleView
from crewcall_worker.queues.views import Views
from crewcall_worker.redis_settings import has_redis
from crewcall_worker.settings import LARGEST_PAYLOAD, Settings, from_environment
from crewcall_worker.wire import Keys

P = TypeVar("P", bound=Payload)

HEALTH_KEPT_MS = 1_000

log = logging.getLogger(__name__)


class QueueService:
    """Enqueues typed jobs. `broker` is None where the service is disabled."""

    def __init__(self, settings: Settings | None) -> None:
        """No settings: disabled. Raises `BadSetting`; nothing is connected yet."""
        self.endpoint = settings.redis_endpoint if settings else ""
        self.broker: CrewcallBroker | None = None
        self._largest_payload = settings.largest_payload if settings else LARGEST_PAYLOAD
        if settings is None:
            log.warning("No Redis is configured: jobs are not enqueued. Set REDIS_URL, or REDIS_HOST")
        else:
            client = make_bounded_client(settings)
            self.broker = CrewcallBroker(client=client, namespace=settings.redis_namespace, middleware=[])

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """By REDIS_URL, or REDIS_HOST, REDIS_PORT, REDIS_PASSWORD and REDIS_DB. Raises `BadSetting`."""
        return cls(from_environment(environment) if has_redis(environment) else None)

    @property
    def enabled(self) -> bool:
        """Whether there is a Redis to enqueue into."""
        return self.broker is not None

    def initialize(self) -> Health:
        """Connect, and tell whether Redis takes jobs. An application may start without: each call tries by itself."""
        health = self.health()
        if health.problem:
            log.warning("Jobs cannot be enqueued yet: %s", health.problem)
        elif self.enabled:
            log.info("Jobs are enqueued into Redis %s", self.endpoint)
        return health

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

    def enqueue_many(self, jobs: Iterable[AnyNewJob]) -> list[Receipt]:
        """Enqueue these, in their order; a receipt for each.

        Up to `outbox.MOST_AT_ONCE` are one round trip: all of them are there, or none. Raises as `enqueue` does: where
        one payload is invalid, nothing is enqueued; a `QueueUnavailable` has the receipts of those that are.
        """
        messages = [(self._message(new), _ms(new.delay)) for new in jobs]
        if self.broker is None:
            return [Receipt("", Outcome.DISABLED) for _ in messages]
        receipts: list[Receipt] = []
        for at in range(0, len(messages), outbox.MOST_AT_ONCE):
            with told_of(self.endpoint, receipts):
                outcomes = self.broker.outbox.enqueue_many(messages[at : at + outbox.MOST_AT_ONCE])
            receipts += [_receipt(outcome) for outcome in outcomes]
        return receipts

    def schedule(
        self,
        name: str,
        cron: str,
        job: JobType[P],
        payload: P,
        *,
        timezone: str = "UTC",
        catch_up: CatchUp = CatchUp.ONCE,
        grace: Seconds = GRACE,
        priority: Priority | None = None,
    ) -> bool:
        """Enqueue such a job whenever `cron` is due; whether that is new. To say it again changes nothing.

        See `schedules`, of which this is `put`, and what it raises; `QueueUnavailable` besides. False where the service
        is disabled.
        """
        if self.broker is None:
            return False
        seconds = grace.total_seconds() if isinstance(grace, timedelta) else grace
        with told_of(self.endpoint):
            return self._schedules(self.broker).put(
                name, cron, job, payload, timezone=timezone, catch_up=catch_up, grace=seconds, priority=priority
            )

    def unschedule(self, name: str) -> bool:
        """Remove a schedule, and the job of its next tick; whether there was one. Raises `QueueUnavailable`."""
        if self.broker is None:
            return False
        with told_of(self.endpoint):
            return self._schedules(self.broker).remove(name)

    def schedules(self) -> tuple[ScheduleView, ...]:
        """Every schedule, with its last tick and its next. Raises `QueueUnavailable`."""
        if self.broker is None:
            return ()
        with told_of(self.endpoint):
            return self._schedules(self.broker).all()

    def stats(self) -> dict[str, QueueCounts]:
        """How many jobs there are in each state, by queue: of the job types imported here, and of all that Redis knows.

        Empty where the service is disabled. Raises `QueueUnavailable`.
        """
        if self.broker is None:
            return {}
        views = Views(self.broker.client, self.broker.namespace)
        with told_of(self.endpoint):
            queues = {job.queue for job in CATALOGUE.values()} | set(views.queues())
            return {queue: views.counts(queue) for queue in sorted(queues)}

    def health(self) -> Health:
        """Whether Redis takes jobs now: by a write, for a replica and a full Redis answer to all else."""
        if self.broker is None:
            return Health(enabled=False)
        begun, problem = time.monotonic(), ""
        try:
            with told_of(self.endpoint):
                self.broker.client.set(Keys(self.broker.namespace).health, 1, px=HEALTH_KEPT_MS)
        except QueueUnavailable as error:
            problem = str(error)
        return Health(enabled=True, endpoint=self.endpoint, problem=problem, took=time.monotonic() - begun)

    def shutdown(self) -> None:
        """Close the connections. What was enqueued is safe; a later call connects anew."""
        if self.broker is not None:
            self.broker.client.close()

    def _message(self, new: AnyNewJob) -> Message[Any]:
        largest = self._largest_payload
        return make_message(new.job, new.payload, priority=new.priority, dedupe_key=new.dedupe_key, largest=largest)

    def _schedules(self, broker: CrewcallBroker) -> Schedules:
        return Schedules(broker.client, broker.namespace, self._largest_payload)


def _receipt(outcome: outbox.Outcome) -> Receipt:
    if isinstance(outcome, outbox.Duplicate):
        return Receipt(outcome.of, Outcome.DUPLICATE)
    return Receipt(outcome.message.message_id)


def _ms(delay: Seconds | None) -> int | None:
    if delay is None:
        return None
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    check_delay("delay", seconds)
    return round(seconds * 1000)
