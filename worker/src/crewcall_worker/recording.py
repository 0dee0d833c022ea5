"""A trace of what this worker's jobs take, for whoever records one: `crewcall record`, see `wire`.

Nobody asks, nothing is kept and nothing sent: the thread sleeps. A recorder asks anew each second, so that it may die
without a word; a worker that begins to listen looks once whether one is there, before its first job and then again. One
row for each run that ends, whatever came of it, for each kept a thread busy; a retry is a run of its own, with its own
time of being ready. Runs that are not over when the recording ends have no row.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any

import redis
from dramatiq import Broker
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware

from crewcall_worker import wire

WRITE_EVERY = 1.0

log = logging.getLogger(__name__)


class Recording(Middleware):
    """One worker's part. It is asked through `hear`; `start` and `stop` are those of its thread."""

    def __init__(
        self, broker: RedisBroker, queues: Sequence[str], steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._broker = broker
        self._queues = tuple(queues)
        self._steady = steady
        self._keys = wire.Keys(broker.namespace)
        self._asked_until: dict[str, float] = {}
        self._rows: deque[tuple[str, str]] = deque(maxlen=wire.MOST_TRACED)
        self._began: dict[str, float] = {}
        self._is_asked = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crewcall-recording", daemon=True)

    def take_part(self) -> None:
        """See each job begin and end."""
        self._broker.add_middleware(self)

    def start(self) -> None:
        """Look whether somebody records, and write each second what there is, until `stop`."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """Write a last time. Where Redis is away, it is lost."""
        self._stopped.set()
        self._is_asked.set()
        if self._thread.is_alive():
            self._thread.join(WRITE_EVERY)
        self._write_if_possible()

    def hear(self, queue: str) -> None:
        """Somebody records `queue`, for a while; where it is "", it was not heard what was said: look."""
        if queue:
            self._asked_until[queue] = self._steady() + wire.RECORDED_FOR_MS / 1000
            self._is_asked.set()
        else:
            self._look()

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        # Of every job: it may be asked for while it runs.
        del broker
        self._began[message.message_id] = self._steady()

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        del broker, result, exception
        now, began = self._steady(), self._began.pop(message.message_id, None)
        if began is None or now >= self._asked_until.get(message.queue_name, 0.0):
            return
        # Plain producers do not tell when a job is ready; what they send without a delay is so when it is sent.
        told = message.options.get(wire.READY_AT)
        ready_ms = told if isinstance(told, int | float) else message.message_timestamp
        self._rows.append((message.queue_name, wire.write_run(ready_ms, (now - began) * 1000)))

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        del broker
        self._began.pop(message.message_id, None)

    def write(self) -> None:
        """Write what there is. Raises `redis.RedisError`; then it is gone, as a recording is not worth waiting for."""
        rows: dict[str, list[str]] = defaultdict(list)
        while self._rows:
            queue, row = self._rows.popleft()
            rows[queue].append(row)
        for key, waiting in ((self._keys.trace(queue), waiting) for queue, waiting in rows.items()):
            with self._broker.client.pipeline(transaction=True) as pipeline:
                pipeline.rpush(key, *waiting)
                pipeline.ltrim(key, 0, wire.MOST_TRACED - 1)
                pipeline.pexpire(key, wire.TRACE_KEPT_MS)
                pipeline.execute()

    def _look(self) -> None:
        try:
            found = self._broker.client.mget([self._keys.recorder(queue) for queue in self._queues])
        except redis.RedisError as error:
            log.debug("Whether somebody records is not known yet: %s", error)
            return
        for queue, value in zip(self._queues, found, strict=True):
            if value is not None:
                self.hear(queue)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._is_asked.clear()
            is_asked = any(until > self._steady() for until in list(self._asked_until.values()))
            if not is_asked and not self._stopped.is_set():
                self._is_asked.wait()
            self._stopped.wait(WRITE_EVERY)
            self._write_if_possible()

    def _write_if_possible(self) -> None:
        try:
            self.write()
        except redis.RedisError as error:
            log.debug("A part of a recording is lost: %s", error)
