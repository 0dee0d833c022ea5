"""The worker's presence in Redis: what it does, each second and on change; and what it is asked in return.

One round trip carries the record, Dramatiq's heartbeat, the pod's order and whether the worker was declared dead. It
has a thread of its own, so neither a full prefetch buffer nor a long job can starve it. While Redis is away it goes
on trying; the worker finishes what it has meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis

from crewcall_worker.intake import Intake
from crewcall_worker.redis_clock import RedisClock
from crewcall_worker.states import Event
from crewcall_worker.wire import BEAT_EVERY, DELAYED, Order, WorkerRecord, WorkerState, write_worker

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """What does not change about a worker: when it began by Redis's clock, how many jobs it runs at once."""

    pod: str
    started_ms: int
    threads: int
    queues: tuple[str, ...]
    process: str | None = None


class Presence(threading.Thread):
    """Tells of the worker until `leave`; hands what it hears to `on_event`, once each time it changes."""

    def __init__(
        self,
        intake: Intake,
        identity: Identity,
        clock: RedisClock,
        state: Callable[[], WorkerState],
        on_event: Callable[[Event], object],
        stalled: Callable[[], int] = lambda: 0,
    ) -> None:
        """`state` is asked for each record, and how many are `stalled`; `on_event` gets ORDER, WITHDRAW and FENCED, in
        this thread."""
        super().__init__(name="crewcall-presence", daemon=True)
        self._intake = intake
        self._identity = identity
        self._state = state
        self._stalled = stalled
        self._on_event = on_event
        self._clock = clock
        self._order = Order.RUN
        self._told: str | None = None  # the id last told of: a new one lets consumers fetch
        self._fenced: str | None = None  # the id last found to be so
        self._is_cut_off = False
        self._changed = threading.Event()
        self._is_over = False
        self.looked_at = time.monotonic()
        """When it last began to tell of the worker, whether Redis took it or not."""

    @property
    def is_known(self) -> bool:
        """Whether Redis has taken a record of this worker."""
        return self._told is not None

    def run(self) -> None:
        while not self._is_over:
            self.looked_at = time.monotonic()
            try:
                self.beat()
            except (redis.RedisError, OSError) as error:
                if not self._is_cut_off:
                    log.warning("Redis does not take this worker's record: %s. Trying again each second", error)
                self._is_cut_off = True
            else:
                if self._is_cut_off:
                    log.info("Redis takes this worker's record again")
                self._is_cut_off = False
            self._changed.wait(BEAT_EVERY)
            self._changed.clear()

    def tell(self) -> None:
        """Something has changed, here or in the orders: tell and ask at once."""
        self._changed.set()

    def beat(self) -> None:
        """Tell and ask once. Raises `redis.RedisError`."""
        worker_id = self._intake.worker_id
        begun = time.monotonic()
        heard = self._intake.scripts.beat(worker_id, self._identity.pod, self._record(worker_id))
        self._clock.set(heard.now_ms, asked_at=begun)
        self._intake.pause(heard.paused)
        if heard.order is not self._order:
            self._order = heard.order
            self._on_event(Event.ORDER if heard.order is Order.DRAIN else Event.WITHDRAW)
        if heard.is_fenced:
            if self._fenced != worker_id:
                self._fenced = worker_id
                self._on_event(Event.FENCED)
            return
        self._intake.seen_at = begun
        if self._told != worker_id:
            self._told = worker_id
            self._intake.wake()

    def leave(self) -> None:
        """Tell no more, and take the record away. Raises `redis.RedisError`."""
        self._is_over = True
        self.tell()
        self.join(BEAT_EVERY)
        self._intake.scripts.leave(self._intake.worker_id, self._identity.queues)

    def _record(self, worker_id: str) -> str:
        begun = [run.began for run in list(self._intake.running.values())]
        held = sum(len(c.held) for name, c in list(self._intake.consumers.items()) if not name.endswith(DELAYED))
        record = WorkerRecord(
            worker=worker_id,
            state=self._state(),
            pod=self._identity.pod,
            host_started_ms=self._identity.started_ms,
            threads=self._identity.threads,
            busy=len(begun),
            prefetched=max(0, held - len(begun)),
            oldest_ms=self._at(min(begun)) if begun else None,
            queues=self._identity.queues,
            process=self._identity.process,
            stalled=self._stalled() or None,
        )
        return write_worker(record)

    def _at(self, moment: float) -> int | None:
        """When that was by Redis's clock, in ms."""
        now_ms = self._clock.known_ms()
        return None if now_ms is None else round(now_ms - (time.monotonic() - moment) * 1000)
