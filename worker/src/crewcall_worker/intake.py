"""What a worker takes in: whether it takes anything, which messages it holds, and which of them it has begun.

One for a process, shared by its consumers, the presence and the steward. As a Dramatiq middleware it sees each job
begin; whether one may begin is for `admission` to say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from queue import PriorityQueue
from typing import Any

from dramatiq import Broker, Worker
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import current_millis
from dramatiq.middleware import Middleware
from dramatiq.worker import WorkerThread

from crewcall_worker.consumer import QueueConsumer
from crewcall_worker.options import REDIS_ID
from crewcall_worker.queues.running import Run
from crewcall_worker.scripts import Scripts
from crewcall_worker.wire import Keys


class Intake(Middleware):
    """Closed when made; `open` lets messages in."""

    def __init__(
        self,
        broker: RedisBroker,
        pool: str,
        on_idle: Callable[[], object] = lambda: None,
        limits: Mapping[str, int] | None = None,
        now_ms: Callable[[], int | None] = current_millis,
    ) -> None:
        """`on_idle` is called, by any thread, whenever nothing is held while it is closed. `limits` has how many
        messages of a queue are held at most. Delayed messages are due by `now_ms`, a clock; None while that is not
        known."""
        self.broker = broker
        self.keys = Keys(broker.namespace)
        self.scripts = Scripts(broker.client, self.keys, pool)
        self.on_idle = on_idle
        self._limits = limits or {}
        self.now_ms = now_ms
        self.is_open = False
        self.paused: frozenset[str] = frozenset()
        """The queues that nobody is to take from, though the intake is open."""
        self.consumers: dict[str, QueueConsumer] = {}
        self.running: dict[str, Run] = {}
        """What was begun and is not acknowledged yet, by redis_message_id: to be put back if the process ends now."""
        self.seen_at = time.monotonic()
        """When Redis last took this worker's record, by time.monotonic()."""
        self._worker: Worker | None = None
        self._threads: list[WorkerThread] = []

    @property
    def worker_id(self) -> str:
        """The id under which messages are fetched now: Dramatiq's for this broker."""
        id_: str = self.broker.broker_id
        return id_

    def open(self) -> None:
        """Let messages in."""
        self.is_open = True
        self.wake()

    def close(self) -> None:
        """Fetch nothing more; the consumers give back what was not begun, each in its own thread, at once."""
        self.is_open = False
        for consumer in list(self.consumers.values()):
            consumer.close_off()

    def pause(self, queues: frozenset[str]) -> None:
        """These queues are paused, and no others: each consumer sees to it in its own thread, at once."""
        changed, self.paused = self.paused ^ queues, queues
        for queue in changed:
            self.wake(queue)

    def takes_from(self, queue: str) -> bool:
        """Whether messages of this queue are let in."""
        return self.is_open and queue not in self.paused

    def renew(self, worker_id: str) -> None:
        """Go on under another id. What was prefetched is forgotten, what runs stays with the old id."""
        self.broker.broker_id = worker_id
        self.wake()

    def wake(self, queue: str | None = None) -> None:
        """There may be messages in this queue, or in any."""
        for name, consumer in list(self.consumers.items()):
            if queue is None or name == queue:
                consumer.wake()

    def is_idle(self) -> bool:
        """Whether it is closed, and every message that was held is acknowledged or given back."""
        return not self.is_open and all(
            consumer.is_settled and not consumer.held for consumer in list(self.consumers.values())
        )

    def tell_if_idle(self) -> None:
        """Call `on_idle` if it is so."""
        if self.is_idle():
            self.on_idle()

    def put_back(self) -> int:
        """Give back all that is held though it runs: for a process that ends now. Raises `redis.RedisError`."""
        count = 0
        for consumer in self.consumers.values():
            owners = {held.owner for held in list(consumer.held.values())}
            for owner in owners:
                ids = [id_ for id_, held in list(consumer.held.items()) if held.owner == owner]
                # What runs was fetched before what waits, and is to be before it again. Only that was begun.
                waits, runs = (
                    [id_ for id_ in ids if id_ not in self.running],
                    [id_ for id_ in ids if id_ in self.running],
                )
                count += self.scripts.give_back(owner, consumer.queue_name, waits)
                count += self.scripts.give_back(owner, consumer.queue_name, runs, begun=True)
        return count

    def take_part(self) -> None:
        """Become the one by whom the broker consumes: its actors are bound to it, whoever has made it."""
        vars(self.broker)["consume"] = self.consume
        # A plain broker's own maintenance takes every worker for dead after an outage of Redis; `reaper` looks instead.
        self.broker.maintenance_chance = 0
        self.broker.add_middleware(self)

    # For the consumers

    def consume(self, queue_name: str, prefetch: int, timeout: int) -> QueueConsumer:
        """The queue's consumer: always the same one, for what it holds outlives a failure of its thread."""
        consumer = self.consumers.get(queue_name)
        if consumer is None:
            limit = self._limits.get(queue_name)
            most = prefetch if limit is None else min(limit, prefetch)
            consumer = QueueConsumer(self, queue_name, most, timeout, is_limited=limit is not None)
            self.consumers[queue_name] = consumer
        else:
            consumer.restart()
        return consumer

    def lost_threads(self) -> int:
        """How many of Dramatiq's threads have died, though nobody has stopped them: these run no job any more."""
        return sum(thread.running and not thread.is_alive() for thread in self._threads)

    def prefetched(self) -> PriorityQueue[Any] | None:
        """Where messages wait for a thread, of all queues; None without a worker."""
        return self._worker.work_queue if self._worker else None

    def delayed(self, queue_name: str) -> PriorityQueue[Any] | None:
        """Where this queue's delayed messages wait until they are due; None where it has none."""
        if self._worker is None or queue_name not in self._worker.consumers or not queue_name.endswith(".DQ"):
            return None
        return self._worker.consumers[queue_name].delay_queue

    # Hooks of Dramatiq

    def before_worker_boot(self, _broker: Broker, worker: Worker) -> None:
        self._worker = worker

    def after_worker_thread_boot(self, _broker: Broker, thread: WorkerThread) -> None:
        self._threads.append(thread)

    def before_process_message(self, _broker: Broker, message: MessageProxy) -> None:
        id_ = message.options[REDIS_ID]
        self.running[id_] = Run(message, id_, message.queue_name, time.monotonic())
