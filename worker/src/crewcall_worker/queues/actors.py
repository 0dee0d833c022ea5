"""Typed jobs as Dramatiq actors: made in the worker, of all job types that its modules have brought into the catalogue.

An actor reads its payload, runs the job's function with it, and hands back nothing. What follows from an error is for
`failures`; how long a run may take is kept by Dramatiq's `TimeLimit`, for coroutines by asyncio.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any

import dramatiq
from dramatiq import Broker
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware, Retries, SkipMessage, TimeLimit
from dramatiq.middleware.time_limit import TimeLimitExceeded

from crewcall_worker.options import ORGANIZATION
from crewcall_worker.queues.failures import JobRetries
from crewcall_worker.queues.job import CATALOGUE, JobContext, JobType, Reject, TryAgain
from crewcall_worker.queues.messages import InvalidPayload, attempts_of, payload_of
from crewcall_worker.queues.payload import Payload

BLOCKED_FOR = 5.0
"""Seconds past its limit after which a coroutine that keeps its event loop from ending it is ended with its thread."""

_CURRENT: ContextVar[MessageProxy | None] = ContextVar("crewcall_job", default=None)


class JobActor(dramatiq.Actor[..., None]):
    """A job type as an actor of one broker.

    All have one priority in Dramatiq's sense: that orders what a worker has prefetched from all of its queues, where
    one queue's would starve another's. Within a queue the lanes order.
    """

    def __init__(self, job: JobType[Payload], broker: RedisBroker) -> None:
        self.job = job
        super().__init__(
            _function(job),
            broker=broker,
            actor_name=job.name,
            queue_name=job.queue,
            priority=0,
            options={"time_limit": _limit_of_thread(job) * 1000, "throws": (Reject, TryAgain)},
        )

    def __call__(self, *arguments: Any, **named: Any) -> None:
        """Run a message's job. Raises what the job raises, `InvalidPayload` and `Reject`."""
        # Dramatiq's own would log the arguments.
        message = _CURRENT.get()
        if message is None:
            raise RuntimeError(f"job {self.job.name} runs by its message alone; in a test call the job type itself")
        if arguments:
            raise InvalidPayload(f"A message of {self.job.name} carries plain arguments; expected none")
        try:
            _run(self.job, message, named)
        except SkipMessage as error:
            # Dramatiq would take it for a middleware's, and acknowledge a job of which nothing is kept.
            raise Reject("It raised Dramatiq's SkipMessage; a job with nothing to do returns") from error


def declare(broker: RedisBroker, jobs: Mapping[str, JobType[Payload]] = CATALOGUE) -> list[JobActor]:
    """Make an actor of each job type that the broker has none of yet; those that were made.

    Raises `ValueError` where a plain actor has a job type's name.
    """
    for name in sorted(jobs):
        if name in broker.actors and not isinstance(broker.actors[name], JobActor):
            raise ValueError(f"{name!r} is a job type and a plain actor; rename one of them")
    new = [job for name, job in sorted(jobs.items()) if name not in broker.actors]
    if new and not any(isinstance(middleware, _Current) for middleware in broker.middleware):
        _make_ready(broker)
    return [JobActor(job, broker) for job in new]


def job_of(broker: Broker, name: str) -> JobType[Payload] | None:
    """The job type of that name as this broker knows it; None of a plain actor's, or of nobody's."""
    actor = broker.actors.get(name)
    return actor.job if isinstance(actor, JobActor) else None


def _make_ready(broker: RedisBroker) -> None:
    """Put into the broker what typed jobs need; plain actors notice nothing of it."""
    if not any(isinstance(middleware, TimeLimit) for middleware in broker.middleware):
        broker.add_middleware(TimeLimit(time_limit=float("inf")))
    place = next((place for place, one in enumerate(broker.middleware) if isinstance(one, Retries)), None)
    if place is None:
        broker.add_middleware(JobRetries(partial(job_of, broker), None))
    else:
        plain = broker.middleware[place]
        broker.middleware[place] = JobRetries(partial(job_of, broker), plain if isinstance(plain, Retries) else None)
    broker.add_middleware(_Current())


class _Current(Middleware):
    """Knows the message that runs in each thread."""

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        del broker
        _CURRENT.set(message)

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        del broker, message, result, exception
        _CURRENT.set(None)

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        del broker, message
        _CURRENT.set(None)


def _run(job: JobType[Payload], message: MessageProxy, arguments: Mapping[str, Any]) -> None:
    payload = payload_of(job, arguments)
    organization = message.options.get(ORGANIZATION, payload.organization_id)
    if organization != payload.organization_id:
        raise InvalidPayload(f"The message of {job.name} is of another organisation than its payload")
    context = JobContext(message.message_id, job.name, job.queue, payload.organization_id, attempts_of(message))
    outcome = job.run(payload, context)
    if inspect.iscoroutine(outcome):
        asyncio.run(_limited(outcome, job.time_limit))


async def _limited(coroutine: Coroutine[Any, Any, object], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds) as limit:
            await coroutine
    except TimeoutError:
        if limit.expired():
            raise TimeLimitExceeded from None
        raise


def _limit_of_thread(job: JobType[Payload]) -> float:
    # No exception gets into a thread that waits in its event loop: a coroutine is ended there, unless it blocks that.
    return job.time_limit + (BLOCKED_FOR if inspect.iscoroutinefunction(job.run) else 0.0)


def _function(job: JobType[Payload]) -> Any:
    def run(**arguments: Any) -> None:
        raise NotImplementedError(f"{job.name} is run by its actor")

    run.__module__ = job.run.__module__
    return run
