"""Each attempt at a job, as this worker sees it: what the logs say of it, its span, and what became of it.

The first of all middleware: it hears of a job before any other does, and of its end when it is known what becomes of
it. The thread that runs the job is in the attempt meanwhile (`CURRENT`), coroutines and copied contexts included.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dramatiq import Broker
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware

from crewcall_worker import tracing
from crewcall_worker.attempt import CURRENT, Attempt, Outcome
from crewcall_worker.options import ORGANIZATION
from crewcall_worker.queues.actors import JobActor
from crewcall_worker.queues.messages import attempts_of
from crewcall_worker.stats import outcome_of

if TYPE_CHECKING:
    from crewcall_worker.spans import AttemptSpan

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Run:
    attempt: Attempt
    began: float
    span: AttemptSpan | None


class Attempts(Middleware):
    """One worker's. `take_part` is to be called once all other middleware is in its place."""

    def __init__(
        self,
        broker: RedisBroker,
        on_end: Callable[[Attempt, Outcome, float], object],
        *,
        are_all_told: bool,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_end` is told of each typed job's attempts that are over, by the threads that ran them. `are_all_told`
        where the log wants to know of plain actors' as well; they are left alone otherwise, unless they are traced."""
        self._broker = broker
        self._are_all_told = are_all_told
        self._on_end = on_end
        self._steady = steady
        self._thread = threading.local()

    def take_part(self) -> None:
        """See each job begin before anybody else, and end after all others."""
        self._broker.middleware.insert(0, self)

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        del broker
        organization = message.options.get(ORGANIZATION)
        if organization is None and not self._are_all_told and not tracing.is_on():
            return
        number = attempts_of(message)
        span = tracing.begin(message, number)
        attempt = Attempt(
            job=message.actor_name,
            job_id=message.message_id,
            queue=message.queue_name,
            attempt=number,
            organization=organization if isinstance(organization, str) else None,
            trace_id=span.trace_id if span else tracing.trace_id_of(message),
            span_id=span.span_id if span else None,
        )
        self._thread.run = _Run(attempt, self._steady(), span)
        CURRENT.set(attempt)

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        del result
        run = self._run_of(message)
        if run is None:
            return
        self._end(run, message, Outcome(outcome_of(broker, message, exception)), exception)

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        del broker
        if run := self._run_of(message):
            self._end(run, message, Outcome.FAILED if message.failed else Outcome.SKIPPED, None)

    def _run_of(self, message: MessageProxy) -> _Run | None:
        run: _Run | None = getattr(self._thread, "run", None)
        return run if run is not None and run.attempt.job_id == message.message_id else None

    def _end(self, run: _Run, message: MessageProxy, outcome: Outcome, error: BaseException | None) -> None:
        self._thread.run = None
        try:
            if isinstance(self._broker.actors.get(run.attempt.job), JobActor):
                seconds = self._steady() - run.began
                self._on_end(run.attempt, outcome, seconds)
                if outcome is Outcome.DONE:
                    extra = {"outcome": outcome.value, "seconds": round(seconds, 3)}
                    log.info("%s done in %.3g s", message, seconds, extra=extra)
        finally:
            if run.span is not None:
                run.span.end(outcome, error)
            CURRENT.set(None)
