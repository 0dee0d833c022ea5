"""How messages get into their queues: as Dramatiq's broker does it, with what Crewcall knows of them in the same step.

That is: when the job becomes ready (`ready_at`), its lane, whether it is a duplicate, the index of delayed messages,
the count of arrivals, the registry of queues, and the hint that wakes who waits for work. One script, one round trip,
as Dramatiq's own, for one message or for many; see `lua/enqueue.lua`. A delayed message that is due is promoted in one
step as well: no crash can double it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import redis
from dramatiq import Broker, Message
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import dq_name, q_name
from dramatiq.middleware import Middleware
from pydantic_core import from_json, to_json

from crewcall_worker import options, tracing, wire
from crewcall_worker.envelope import BY_HAND, likeness_of, origin_of, redis_id_of
from crewcall_worker.hints import Pacer
from crewcall_worker.kept_connections import KeptConnections
from crewcall_worker.redis_clock import RedisClock

REGISTER_EVERY = 60.0
ASK_AGAIN_AFTER = 0.5

MOST_AT_ONCE = 500
"""Messages by one script: more would keep Redis from others for long."""

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Enqueued:
    """`message`, as it was sent, is in its queue."""

    message: Message[Any]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """`message` was not enqueued, for the job `of` was, with the same key and within its window."""

    message: Message[Any]
    of: str


@dataclass(frozen=True, slots=True)
class Gone:
    """`message` was not enqueued, for what it comes from is not there any more: somebody else was quicker."""

    message: Message[Any]


Outcome = Enqueued | Duplicate | Gone


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A message on its way: in `head` is what the script is told of it, in the order that is written there."""

    message: Message[Any]
    delay: int | None
    head: tuple[Any, ...]


class Outbox:
    """The enqueue side of one broker. It starts no thread, so it outlives a fork."""

    def __init__(self, broker: RedisBroker, steady: Callable[[], float] = time.monotonic) -> None:
        self.clock = RedisClock(broker.client, steady)
        self._broker = broker
        self._script = broker.client.register_script(wire.script("enqueue"))
        self._kept = KeptConnections(broker.client)
        self._steady = steady
        self._pacer = Pacer(steady)
        self._registered: dict[str, float] = {}
        self._thread = threading.local()

    def take_part(self) -> None:
        """Send all that this broker's worker has to send. To be called once all other middleware is in its place."""
        vars(self._broker)["enqueue"] = self.enqueue
        self._broker.add_middleware(_WorkerHooks(self._thread))

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Enqueue a message, `delay` ms from now; the message as it was sent, or would have been but for its like.

        Raises `redis.RedisError`, but for a retry, a promotion, and what else follows from a job that is over: these
        wait until Redis is there. Dramatiq would swallow the error, and acknowledge the job that it was lost with.
        Raises `ValueError` where one of `options` is none that it could have.
        """
        return self.enqueue_many([(message, delay)])[0].message

    def enqueue_many(self, messages: Sequence[tuple[Message[Any], int | None]]) -> list[Outcome]:
        """Enqueue messages, each so many ms from now if that is told: what became of each, in their order.

        Up to `MOST_AT_ONCE` are one round trip and one step: all are there, or none. Raises as `enqueue` does; where
        the answer to a step was lost, nobody knows which of the two it is.
        """
        return tracing.sending(messages, self._send_all)

    def _send_all(self, messages: Sequence[tuple[Message[Any], int | None]]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for at in range(0, len(messages), MOST_AT_ONCE):
            outcomes += self._send([self._pack(*item) for item in messages[at : at + MOST_AT_ONCE]])
        return outcomes

    def _pack(self, message: Message[Any], delay: int | None) -> _Parcel:
        queue, id_ = q_name(message.queue_name), redis_id_of(message)
        lane = wire.lane_of(message.options.get(options.PRIORITY), message.options.get(options.ORGANIZATION))
        queue_name = queue if delay is None else dq_name(queue)
        message = message.copy(queue_name=queue_name, options={options.REDIS_ID: id_})
        kept = message.options  # the copy's own
        worker, origin = origin_of(kept)
        like, like_for_ms = likeness_of(kept, message.actor_name)
        eta: int | str = ""
        if delay is not None:
            now_ms = self._insist(self.clock.now_ms, forever=self._is_bound(worker))
            eta = kept["eta"] = kept[wire.READY_AT] = now_ms + delay
        elif worker in ("", BY_HAND):
            kept[wire.READY_AT] = self._insist(self.clock.now_ms, forever=self._is_bound(worker))

        self._broker.emit_before("enqueue", message, delay)
        head = (
            queue,
            id_,
            eta,
            worker,
            origin,
            self._registered.get(queue, 0.0) <= self._steady(),
            self._pacer.may_hint(message.queue_name),
            lane.name if lane else "",
            lane.organization if lane else "",
            kept[wire.READY_AT],
            like,
            message.message_id,
            like_for_ms,
            *((True,) if self._is_bound(worker) else ()),
        )
        return _Parcel(message, delay, head)

    def _send(self, parcels: Sequence[_Parcel]) -> list[Outcome]:
        # One argument for all heads, one for all answers: redis-py takes longer for a dozen each than all else here.
        heads = to_json([parcel.head for parcel in parcels])
        arguments = [self._broker.namespace, heads, *(parcel.message.encode() for parcel in parcels)]
        forever = any(self._is_bound(parcel.head[3]) for parcel in parcels)

        def ask(client: redis.Redis) -> Any:
            return self._script(args=arguments, client=client)

        asked_at = self._steady()
        now_ms, *answers = from_json(self._insist(lambda: self._kept.use(ask), forever=forever))
        self.clock.set(now_ms, asked_at=asked_at)
        return [self._note(parcel, answer) for parcel, answer in zip(parcels, answers, strict=True)]

    def _is_bound(self, promoter: str) -> bool:
        """Whether it is bound to arrive, however long that takes."""
        return promoter not in ("", BY_HAND) or getattr(self._thread, "is_job_over", False)

    def _note(self, parcel: _Parcel, answer: int | str) -> Outcome:
        message = parcel.message
        if parcel.head[5]:
            self._registered[parcel.head[0]] = self._steady() + REGISTER_EVERY
        if not isinstance(answer, int):
            return Duplicate(message, of=answer)
        if answer == 1:
            self._pacer.has_hinted(message.queue_name)
        if answer == -1:
            log.debug("Message %s was promoted by another worker, or revived by somebody else", message.message_id)
            return Gone(message)
        self._broker.emit_after("enqueue", message, parcel.delay)
        return Enqueued(message)

    def _insist(self, call: Callable[[], T], *, forever: bool) -> T:
        while True:
            try:
                return call()
            except redis.RedisError as error:
                if not forever:
                    raise
                log.warning("A job waits for Redis to be queued again: %s", error)
                threading.Event().wait(ASK_AGAIN_AFTER)


class _WorkerHooks(Middleware):
    """Marks delayed messages that come into a worker's memory, so that a promotion is told from a new message; and
    threads whose job is over. For that it is the last middleware: hooks after a job are called in reverse."""

    def __init__(self, thread: threading.local) -> None:
        self._thread = thread

    def before_delay_message(self, broker: Broker, message: MessageProxy) -> None:
        if isinstance(broker, RedisBroker):
            message.options[options.PROMOTION] = (broker.broker_id, message.options[options.REDIS_ID])
            message.options[wire.READY_AT] = message.options["eta"]

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        del broker, message
        self._thread.is_job_over = False

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        del broker, message, result, exception
        self._thread.is_job_over = True
