"""Which of the messages that were fetched begin here: each thread asks of the one that it has taken.

A worker that was cut off may have been declared dead, and its messages given to others: one of those is dropped before
any middleware hears of it, for what follows an end or a skip (a result, say) is the other worker's to tell. One that
its rate limit puts off is dropped as well; one that may have killed its workers runs alone, see `solitude`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import redis
from dramatiq import Broker
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Middleware
from dramatiq.worker import WorkerThread

from crewcall_worker.holding import Held
from crewcall_worker.intake import Intake
from crewcall_worker.options import REDIS_ID
from crewcall_worker.solitude import Solitude
from crewcall_worker.wire import LAPSED_AFTER_MS, MOST_KILLS

SURE_FOR = LAPSED_AFTER_MS / 1000 / 3
"""Seconds; a third of the silence that is taken for death."""
ASK_AGAIN_AFTER = 1.0

log = logging.getLogger(__name__)


class Admission(Middleware):
    """One worker's. `take_part` has its threads ask."""

    def __init__(
        self,
        intake: Intake,
        is_to_wait: Callable[[MessageProxy, str], bool] = lambda _message, _owner: False,
        sure_for: float = SURE_FOR,
        most_kills: int = MOST_KILLS,
    ) -> None:
        """`is_to_wait` is asked of a message, and the worker id that it was fetched under: whether it was put off.
        `sure_for` is the seconds since the last contact for which nobody takes this worker for dead, with ample room. A
        message that is one death short of `most_kills` runs alone."""
        self._intake = intake
        self._is_to_wait = is_to_wait
        self._sure_for = sure_for
        self._most_kills = most_kills
        self._solitude = Solitude()

    def take_part(self) -> None:
        """Have each thread of the broker's worker ask before it begins a job."""
        self._intake.broker.add_middleware(self)

    def after_worker_thread_boot(self, _broker: Broker, thread: WorkerThread) -> None:
        process = thread.process_message

        def process_if_ours(message: MessageProxy) -> None:
            held = self._held(message)
            alone = held is not None and held.kills >= self._most_kills - 1
            if not self._solitude.enter(alone=alone, may_wait=lambda: self._intake.takes_from(message.queue_name)):
                self.release(message)
                return
            try:
                if not self.may_begin(message):
                    log.warning("Message %s was given to another worker, which runs it", message.options[REDIS_ID])
                    self.drop(message)
                elif self._is_to_wait(message, self._owner(message)):
                    self.drop(message)
                else:
                    process(message)
            finally:
                self._solitude.leave()

        # Not by SkipMessage: after it Dramatiq tells every middleware that the message was skipped and acknowledged.
        vars(thread)["process_message"] = process_if_ours

    def release(self, message: MessageProxy) -> None:
        """Let a message that a thread has taken off the queue of prefetched ones go back: it shall not begin here."""
        self._intake.consumers[message.queue_name].release(message)
        self._count_off()

    def drop(self, message: MessageProxy) -> None:
        """Forget a message that a thread has taken off the queue of prefetched ones: it is not this worker's to run."""
        self._intake.consumers[message.queue_name].drop(message)
        self._count_off()

    def may_begin(self, message: MessageProxy) -> bool:
        """Whether it is this worker's to run still; waits while Redis cannot tell.

        A suspect is noted as begun first: if the worker dies now, it was with this one.
        """
        id_, queue = message.options[REDIS_ID], message.queue_name
        while held := self._held(message):
            if held.owner != self._intake.worker_id:
                return False
            if time.monotonic() - self._intake.seen_at < self._sure_for and not held.kills:
                return True
            try:
                if not self._intake.broker.client.sismember(self._intake.keys.acks(held.owner, queue), id_):
                    return False
                if held.kills:
                    self._intake.scripts.begin(held.owner, id_)
            except redis.RedisError as error:
                log.warning("Message %s waits: Redis cannot tell whether it is still ours: %s", id_, error)
                time.sleep(ASK_AGAIN_AFTER)
            else:
                return True
        return True

    def _count_off(self) -> None:
        """One of the prefetched messages is done with; Dramatiq's thread says so of those alone that it has begun."""
        if (prefetched := self._intake.prefetched()) is not None:
            prefetched.task_done()

    def _owner(self, message: MessageProxy) -> str:
        """The worker id that it was fetched under."""
        held = self._held(message)
        return held.owner if held else self._intake.worker_id

    def _held(self, message: MessageProxy) -> Held | None:
        """What is known of it; None where it is not held any more."""
        consumer = self._intake.consumers.get(message.queue_name)
        return consumer.held.get(message.options[REDIS_ID]) if consumer else None
