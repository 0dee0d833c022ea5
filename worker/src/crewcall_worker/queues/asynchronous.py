"""The service for applications on asyncio: the same one, its calls made by a few threads of its own.

One way to enqueue, not two: what is sent is one script with much around it, which a second client would have to repeat.
A thread costs a call some 0.1 ms. They are not the loop's own threads: a Redis that hangs keeps nobody else waiting.
A call that gets no thread in time fails like one that gets no answer, so many at once fail as soon as one does.
Who cancels a call stops waiting for it; the job may be enqueued all the same.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Self, TypeVar

from crewcall_worker.queues.connection import QueueUnavailable
from crewcall_worker.queues.counts import QueueCounts
from crewcall_worker.queues.job import JobType, Priority
from crewcall_worker.queues.payload import Payload
from crewcall_worker.queues.plans import CatchUp
from crewcall_worker.queues.receipts import AnyNewJob, Health, NewJob, Receipt, Seconds
from crewcall_worker.queues.schedules import GRACE, ScheduleView
from crewcall_worker.queues.service import QueueService

THREADS = 8
BEGUN_WITHIN = 3.0
"""Seconds that a call waits for a thread, before what `connection` has for the call itself."""

P = TypeVar("P", bound=Payload)
T = TypeVar("T")


class AsyncQueueService:
    """`service` with its calls as coroutines. It belongs to no event loop, and outlives a fork."""

    def __init__(self, service: QueueService) -> None:
        self.service = service
        self._threads: tuple[int, ThreadPoolExecutor] | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """As `QueueService.from_environment`."""
        return cls(QueueService.from_environment(environment))

    @property
    def enabled(self) -> bool:
        """Whether there is a Redis to enqueue into."""
        return self.service.enabled

    async def initialize(self) -> Health:
        """Connect, and tell whether Redis takes jobs."""
        return await self._health(self.service.initialize)

    async def enqueue(
        self,
        job: JobType[P],
        payload: P,
        *,
        delay: Seconds | None = None,
        priority: Priority | None = None,
        dedupe_key: str | None = None,
    ) -> Receipt:
        """Enqueue a job, to be run at once or after `delay` (seconds)."""
        return (await self.enqueue_many([NewJob(job, payload, delay, priority, dedupe_key)]))[0]

    async def enqueue_many(self, jobs: Iterable[AnyNewJob]) -> list[Receipt]:
        """Enqueue these, in their order; a receipt for each."""
        return await self._call(partial(self.service.enqueue_many, jobs))

    async def schedule(
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
        """Enqueue such a job whenever `cron` is due; whether that is new."""
        how: dict[str, Any] = {"timezone": timezone, "catch_up": catch_up, "grace": grace, "priority": priority}
        return await self._call(partial(self.service.schedule, name, cron, job, payload, **how))

    async def unschedule(self, name: str) -> bool:
        """Remove a schedule, and the job of its next tick; whether there was one."""
        return await self._call(partial(self.service.unschedule, name))

    async def schedules(self) -> tuple[ScheduleView, ...]:
        """Every schedule, with its last tick and its next."""
        return await self._call(self.service.schedules)

    async def stats(self) -> dict[str, QueueCounts]:
        """How many jobs there are in each state, by queue."""
        return await self._call(self.service.stats)

    async def health(self) -> Health:
        """Whether Redis takes jobs now."""
        return await self._health(self.service.health)

    async def shutdown(self) -> None:
        """Close the connections, and let the threads go. A later call begins anew."""
        await self._call(self.service.shutdown, within=None)
        if self._threads is not None:
            self._threads[1].shutdown(wait=False)
            self._threads = None

    async def _health(self, function: Callable[[], Health]) -> Health:
        try:
            return await self._call(function)
        except QueueUnavailable as error:
            return Health(enabled=True, endpoint=self.service.endpoint, problem=str(error), took=BEGUN_WITHIN)

    async def _call(self, function: Callable[[], T], within: float | None = BEGUN_WITHIN) -> T:
        if self._threads is None or self._threads[0] != os.getpid():  # threads do not survive a fork
            self._threads = os.getpid(), ThreadPoolExecutor(THREADS, thread_name_prefix="crewcall-enqueue")
        call = self._threads[1].submit(copy_context().run, function)
        is_late = False

        def give_up() -> None:
            nonlocal is_late
            is_late = call.cancel()  # one that a thread has begun is not

        timer = None if within is None else asyncio.get_running_loop().call_later(within, give_up)
        try:
            return await asyncio.wrap_future(call)
        except asyncio.CancelledError:
            if not is_late:
                raise
            words = (
                f"Redis {self.service.endpoint} keeps all {THREADS} threads busy: this call had none within {within:g} "
                "s and was not made. Check that it runs; where it does, enqueue by enqueue_many rather than one by one"
            )
            raise QueueUnavailable(words) from None
        finally:
            if timer is not None:
                timer.cancel()
