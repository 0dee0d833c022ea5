"""One queue's messages, from Redis into the worker and, if it is not to run them, back again.

In place of Dramatiq's own consumer (dramatiq/brokers/redis.py), and as that one is, called by a `ConsumerThread` of
`dramatiq.Worker`, while its worker threads acknowledge. What differs: nothing is fetched while the intake is closed,
and what was prefetched goes back to the head of the queue in its order; waiting ends at once when there is room, work
or something to do. When messages come and go is said here; how they do, in `holding`.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Callable, Iterable
from pickle import PickleError
from queue import PriorityQueue
from threading import Event
from typing import TYPE_CHECKING, Any

import redis
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.common import compute_backoff
from dramatiq.errors import ConnectionClosed

from crewcall_worker.holding import Held, Holding
from crewcall_worker.options import ORGANIZATION, REDIS_ID

if TYPE_CHECKING:
    from crewcall_worker.intake import Intake

LOOK_UP_EVERY = 1.0  # seconds; what else there is to do wakes the consumer
LOOK_UP_WHILE_CLOSED = 0.25
RETRY_AFTER = 1.0
DUE_SOON_MS = 5_000
"""Several times the second between two looks."""

log = logging.getLogger(__name__)


class QueueConsumer(Consumer):
    """The consumer of one queue (`.DQ`: its delayed messages), for as long as the worker lives."""

    def __init__(
        self, intake: Intake, queue_name: str, prefetch: int, timeout: int, *, is_limited: bool = False
    ) -> None:
        """`prefetch` is how many messages it may hold; `timeout` the longest wait between two fetches, in ms.
        `is_limited` where that is how many may run, so that there is nothing behind them."""
        self.intake = intake
        self.queue_name = queue_name
        self.prefetch = prefetch
        self.timeout = timeout
        self.is_settled = False  # closed, and nothing is held but what runs
        self._holding = Holding(intake.scripts, queue_name)
        self._owner = ""
        # What is ready comes by the handful, unless a thread waits for each. What is delayed is held for long, and what
        # follows may be due before it.
        self._refill_at = prefetch - (1 if is_limited or self._holding.is_delayed else max(1, prefetch // 4))
        self._look_for_due_at = 0.0
        self._wants_room = False
        self._misses = 0
        self._wake = Event()
        self._is_cut_off = False
        self.looked_at = time.monotonic()
        """When its thread last came by."""

    @property
    def held(self) -> dict[str, Held]:
        """What is held, by redis_message_id, in the order of fetching."""
        return self._holding.held

    # Called by Dramatiq

    def __next__(self) -> MessageProxy | None:
        self.looked_at = time.monotonic()
        try:
            message = self._take()
        except redis.RedisError as error:
            if not self._is_cut_off:
                log.warning("Queue %s: Redis fails: %s. Trying again each %g s", self.queue_name, error, RETRY_AFTER)
            self._is_cut_off = True
            self._wait(RETRY_AFTER)
            return None
        if self._is_cut_off:
            log.info("Queue %s: Redis answers again", self.queue_name)
            self._is_cut_off = False
        return message

    def ack(self, message: MessageProxy) -> None:
        self._settle(message, dead=False)

    def nack(self, message: MessageProxy) -> None:
        self._settle(message, dead=True)

    def release(self, message: MessageProxy) -> None:
        """A thread has taken this one and is not to begin it: hand it back."""
        self._holding.take_out([_id(message)])
        self._wake.set()

    def drop(self, message: MessageProxy) -> None:
        """Forget one that is another worker's by now."""
        id_ = _id(message)
        self.held.pop(id_, None)
        self._has_released(id_)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give these back; the worker calls this once its threads have ended."""
        self._holding.take_out(_id(message) for message in messages)
        try:
            self._hand_back()
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None

    # Called by the intake, from any thread

    def wake(self) -> None:
        """There may be work, or something else to do."""
        self._misses = 0
        self._wake.set()

    def close_off(self) -> None:
        """The intake was closed: hand back, now."""
        self.is_settled = False
        # Promoting those that are due can take long where there are many; without them it is over at once.
        if delayed := self.intake.delayed(self.queue_name):
            self._holding.take_out(_withdraw(delayed, lambda _: True))
        self._wake.set()

    def restart(self) -> None:
        """Its thread has begun anew. Dramatiq's then has lost the delayed messages it had: they become strays."""
        if self._holding.is_delayed:
            self._holding.forget()

    # The consumer's own thread

    def _take(self) -> MessageProxy | None:
        if self._holding.is_returning or self._owner != self.intake.worker_id:
            self._hand_back()
            self._owner = self.intake.worker_id
        while self._may_take():
            if message := self._holding.following(self._owner):
                self._misses = 0
                return message
            if not self._fetch():
                self._wait_for_work()
                return None
        self._hand_back()
        if self._holding.may_have_strays:
            self._holding.put_back_strays(self._owner)
        self.is_settled = True
        self.intake.tell_if_idle()
        self._wait(LOOK_UP_WHILE_CLOSED)
        return None

    def _may_take(self) -> bool:
        may_take = self.intake.takes_from(self.queue_name)
        self.is_settled = self.is_settled and not may_take
        return may_take

    def _fetch(self) -> bool:
        """False where there is no room or no message."""
        self._wants_room = True  # before looking: who makes room after the look wakes us
        if len(self.held) > self._refill_at:
            return self._holding.is_delayed and self._fetch_due()
        self._wants_room = False
        return self._holding.fetch(self._owner, self.prefetch - len(self.held))

    def _fetch_due(self) -> bool:
        """It is full of what is due later: what is due soon gets in all the same, as much again at the most."""
        room = 2 * self.prefetch - len(self.held)
        if room <= 0 or time.monotonic() < self._look_for_due_at:
            return False
        if self._holding.fetch_due(self._owner, room, DUE_SOON_MS):
            return True
        self._look_for_due_at = time.monotonic() + LOOK_UP_EVERY
        return False

    def _wait_for_work(self) -> None:
        if self._wants_room:
            self._wait(LOOK_UP_EVERY)
        else:
            self._misses, backoff_ms = compute_backoff(self._misses, max_backoff=self.timeout)
            self._wait(backoff_ms / 1000)

    def _wait(self, seconds: float) -> None:
        self._wake.wait(min(seconds, self._until_the_next_is_due()))
        self._wake.clear()  # what it was set for was done before, so the look that follows sees it

    def _until_the_next_is_due(self) -> float:
        delayed = self.intake.delayed(self.queue_name)
        if delayed is None or not self.intake.is_open:
            return LOOK_UP_EVERY
        with delayed.mutex:
            due_ms = delayed.queue[0].priority if delayed.queue else None
        now_ms = self.intake.now_ms()
        return LOOK_UP_EVERY if due_ms is None or now_ms is None else max(0.0, (due_ms - now_ms) / 1000)

    def _hand_back(self) -> None:
        """Give all that was not begun back to the head of the queue."""
        for waiting in (self.intake.prefetched(), self.intake.delayed(self.queue_name)):
            if waiting is not None:
                self._holding.take_out(_withdraw(waiting, self.held.__contains__))
        for id_ in self._holding.give_back():
            self._has_released(id_)

    # Worker threads

    def _settle(self, message: MessageProxy, *, dead: bool) -> None:
        id_, text, organization = _id(message), _last_known(message) if dead else b"", message.options.get(ORGANIZATION)
        try:
            self._holding.settle(id_, self.intake.worker_id, dead=dead, text=text, organization=str(organization or ""))
        except redis.RedisError as error:
            # Whatever it is: the job is done, so it is tried until Redis takes it. Dramatiq does so for this error.
            raise ConnectionClosed(error) from None
        self._has_released(id_)

    def _has_released(self, id_: str) -> None:
        self.intake.running.pop(id_, None)
        if self._wants_room and len(self.held) <= self._refill_at and not self._wake.is_set():
            self._wake.set()
        if not self.intake.is_open:
            self.intake.tell_if_idle()


def _withdraw(waiting: PriorityQueue[Any], is_ours: Callable[[str], bool]) -> list[str]:
    """Take messages out of a queue between threads; whoever else takes from it gets each or does not."""
    with waiting.mutex:
        taken = [_id(item.message) for item in waiting.queue if is_ours(_id(item.message))]
        if taken:
            gone = set(taken)
            waiting.queue[:] = [item for item in waiting.queue if _id(item.message) not in gone]
            heapq.heapify(waiting.queue)
    for _ in taken:
        waiting.task_done()
    return taken


def _last_known(message: MessageProxy) -> bytes:
    """A dead letter with what its worker has noted in it, such as the last error; as it was, where that is no text."""
    try:
        text: bytes = message.encode()
    except (TypeError, ValueError, PickleError) as error:  # by what a middleware has put into it
        log.warning("Message %s is kept as it was sent: %s", message.message_id, error)
        return b""
    return text


def _id(message: MessageProxy) -> str:
    id_: str = message.options[REDIS_ID]
    return id_
