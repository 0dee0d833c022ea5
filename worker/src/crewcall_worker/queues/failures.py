"""What becomes of a typed job that failed: it is tried again by its type's policy, or is a dead letter with a reason.

In place of Dramatiq's `Retries`, which goes on to look after plain actors. A retry is a delayed message, as Dramatiq's
are: a pool at zero is woken for it, and it survives every worker. Who decides that it is over notes why in the message
itself; what is stored of a dead letter is the message as its worker last knew it.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import SystemRandom
from typing import Any

from dramatiq import Broker
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Retries
from dramatiq.middleware.time_limit import TimeLimitExceeded

from crewcall_worker.attempt import Outcome
from crewcall_worker.options import DEATH, ERROR
from crewcall_worker.plain import encodable
from crewcall_worker.queues.job import JobType, Reject, TryAgain
from crewcall_worker.queues.messages import InvalidPayload, attempts_of
from crewcall_worker.queues.payload import Payload
from crewcall_worker.queues.retries import RetryPolicy, check_delay

LONGEST_ERROR = 2_000
LONGEST_TRACEBACK = 32_768
"""Characters. What is stored of the last failure; of the ones before it, less: they only travel with the job."""
TRAVELLING_TRACEBACK = 4_000

_CHANCE = SystemRandom()

log = logging.getLogger(__name__)


class Death(StrEnum):
    """Why a message is a dead letter."""

    RETRIES_EXHAUSTED = "retries_exhausted"
    REJECTED = "rejected"
    """The job itself said that it will never succeed."""
    INVALID_PAYLOAD = "invalid_payload"
    UNREADABLE = "unreadable"
    """It is no message. Noted nowhere: whoever reads the dead letter sees it."""
    UNKNOWN_JOB = "unknown_job"
    """No actor of that name in the worker that got it."""
    POLICY_FAILED = "policy_failed"
    """Its retry policy has raised, or told a delay that is none: the worker's log has what."""
    KILLED_WORKERS = "killed_workers"
    """Too many workers died with it. Noted as `options.KILLED`."""


@dataclass(frozen=True, slots=True)
class Later:
    """It is tried again after so many seconds."""

    delay: float


def judge(retries: RetryPolicy, failures: int, error: BaseException, chance: float) -> Later | Death:
    """What becomes of a job that failed for the `failures`-th time with this error. `chance` is in [0, 1).

    Raises whatever the policy does, and `ValueError` where that tells a delay that is none.
    """
    if isinstance(error, InvalidPayload):
        return Death.INVALID_PAYLOAD
    if isinstance(error, Reject):
        return Death.REJECTED
    delay = retries.delay(failures, chance)
    if delay is None:
        return Death.RETRIES_EXHAUSTED
    check_delay("the delay of its retry policy", delay)
    return Later(max(delay, error.after) if isinstance(error, TryAgain) else delay)


class JobRetries(Retries):
    """The middleware. It is a `Retries`, so that whoever asks whether a broker retries hears that it does."""

    def __init__(
        self,
        job_of: Callable[[str], JobType[Payload] | None],
        plain: Retries | None,
        chance: Callable[[], float] = _CHANCE.random,
    ) -> None:
        """`job_of` tells the job type of an actor's name; `plain` is who looks after all other actors, if anybody."""
        super().__init__()
        self._job_of = job_of
        self._plain = plain
        self._chance = chance

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        job = self._job_of(message.actor_name)
        if job is None:
            if self._plain is not None:
                self._plain.after_process_message(broker, message, result=result, exception=exception)
        elif exception is not None:
            self._settle(broker, message, job, exception)

    def before_nack(self, broker: Broker, message: MessageProxy) -> None:
        if DEATH in message.options:
            return
        if message.actor_name not in broker.actors:
            message.options[DEATH] = Death.UNKNOWN_JOB
            message.options[ERROR] = f"There is no job {message.actor_name!r} in this worker's modules"

    def _settle(self, broker: Broker, message: MessageProxy, job: JobType[Payload], error: BaseException) -> None:
        attempt, options = attempts_of(message), message.options
        # Until it is in its queue again: Dramatiq swallows what a middleware raises, and a policy that fails itself
        # would leave a job that looks done.
        message.fail()
        options[DEATH] = Death.POLICY_FAILED
        options[ERROR] = _words(job, error)
        options["traceback"] = _trace(error, LONGEST_TRACEBACK)
        what_next = judge(job.retries, attempt, error, self._chance())
        if isinstance(what_next, Later):
            del options[DEATH]
            options["retries"] = attempt
            options["traceback"] = _trace(error, TRAVELLING_TRACEBACK)
            log.warning(
                "%s failed at try %d, and is tried again in %.3g s: %s",
                message,
                attempt,
                what_next.delay,
                type(error).__name__,
                extra={"outcome": Outcome.RETRIED},
            )
            broker.enqueue(message, delay=round(what_next.delay * 1000))  # type: ignore[arg-type]  # as Retries does
            message.failed = False
            return
        options[DEATH] = what_next
        log.error(
            "%s is a dead letter after %d tries (%s): %s",
            message,
            attempt,
            what_next,
            type(error).__name__,
            extra={"outcome": Outcome.FAILED},
        )


def _words(job: JobType[Payload], error: BaseException) -> str:
    if isinstance(error, TimeLimitExceeded):
        return f"TimeLimitExceeded: it ran longer than {job.time_limit:g} s"
    # By `traceback`: it bears an error that cannot be turned into text.
    words = str(traceback.TracebackException(type(error), error, None, compact=True))
    return encodable(f"{type(error).__name__}: {words}"[:LONGEST_ERROR])


def _trace(error: BaseException, longest: int) -> str:
    """The end of it tells most, its beginning where it came from."""
    text = encodable("".join(traceback.format_exception(error)))
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters are left out ...\n{text[-half:]}"
