"""What this worker's jobs add up to, by queue: counted in memory, told to Redis once a second.

Counters only ever rise, and those in Redis are the sum over all workers there ever were: what one adds between two
tellings is added in one transaction. Who was killed takes at most a second of counts with him. Where the answer to a
telling is lost it is told again, so after an outage a second may be counted twice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from dramatiq import Broker
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware, Retries

from crewcall_worker.intake import ID
from crewcall_worker.redis_clock import RedisClock
from crewcall_worker.wire import READY_AT, Counter, Keys, script, wait_bucket, wait_field

TELL_EVERY = 1.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    """A job that runs: since when its time is not yet counted, by the steady clock in seconds."""

    queue: str
    counted_until: float


class Stats:
    """One worker's counters. `take_part` makes it see the broker's jobs; `start` and `stop` are those of its thread."""

    def __init__(self, broker: RedisBroker, clock: RedisClock, steady: Callable[[], float] = time.monotonic) -> None:
        self._broker = broker
        self._clock = clock
        self._steady = steady
        self._keys = Keys(broker.namespace)
        self._script = broker.client.register_script(script("tell"))
        self._lock = threading.Lock()
        self._totals: Tally[tuple[str, str]] = Tally()
        self._told: Tally[tuple[str, str]] = Tally()
        self._running: dict[str, _Running] = {}  # by redis_message_id
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crewcall-stats", daemon=True)

    def take_part(self) -> None:
        """See each job begin, after all that may still stop it, and end, after it is settled whether it is retried."""
        self._broker.middleware.insert(0, _AtTheEnd(self))
        self._broker.add_middleware(_AtTheStart(self))

    def start(self) -> None:
        """Tell each second, until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Tell a last time what is not told yet. Where Redis is away, it is lost."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(TELL_EVERY)
        self._tell_if_possible()

    def totals(self) -> dict[tuple[str, str], int]:
        """Counts since the process began, by queue and `wire` field; times in ms, as far as jobs have run by now."""
        with self._lock:
            self._count_running()
            return dict(self._totals)

    def running(self) -> dict[str, int]:
        """Jobs that run now, by queue; 0 where there were any before."""
        with self._lock:
            return {queue: sum(job.queue == queue for job in self._running.values()) for queue, _ in dict(self._totals)}

    def begin(self, message: MessageProxy) -> None:
        """A job begins."""
        queue, now_ms, ready_at = message.queue_name, self._clock.known_ms(), message.options.get(READY_AT)
        with self._lock:
            self._running[message.options[ID]] = _Running(queue, self._steady())
            self._totals[queue, Counter.STARTED] += 1
            if now_ms is not None and isinstance(ready_at, int | float):
                wait_ms = max(0, round(now_ms - ready_at))
                self._totals[queue, Counter.WAIT_MS_SUM] += wait_ms
                self._totals[queue, wait_field(wait_bucket(wait_ms))] += 1

    def end(self, message: MessageProxy, outcome: Counter | None) -> None:
        """A job is over, though it may never have begun; `outcome` is DONE, FAILED, RETRIED, or None where skipped."""
        with self._lock:
            if job := self._running.pop(message.options[ID], None):
                self._count(job, self._steady())
            if outcome is not None:
                self._totals[message.queue_name, outcome] += 1

    def tell(self) -> None:
        """Add to Redis what has come since the last time. Raises `redis.RedisError`."""
        totals = Tally(self.totals())
        news = totals - self._told
        if not news:
            return
        keys = [self._keys.stats(queue) for queue, _ in news]
        self._script(keys=keys, args=[part for (_, field), count in news.items() for part in (field, count)])
        self._told = totals

    def _run(self) -> None:
        while not self._stopped.wait(TELL_EVERY):
            self._tell_if_possible()

    def _tell_if_possible(self) -> None:
        try:
            self.tell()
        except redis.RedisError as error:
            log.debug("Counts are kept until Redis takes them: %s", error)

    def _count_running(self) -> None:
        now = self._steady()
        for job in self._running.values():
            self._count(job, now)

    def _count(self, job: _Running, now: float) -> None:
        """Add the time since the last count in whole ms; what is left over stays for the next one."""
        passed_ms = int((now - job.counted_until) * 1000)
        job.counted_until += passed_ms / 1000
        self._totals[job.queue, Counter.BUSY_MS] += passed_ms


class _AtTheStart(Middleware):
    """The last middleware: called when nothing can stop the job any more."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        del broker
        self._stats.begin(message)


class _AtTheEnd(Middleware):
    """The first middleware: hooks after a job are called in reverse, so it is known by now what becomes of it."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        del result
        if message.failed:
            outcome = Counter.FAILED
        elif exception is None:
            outcome = Counter.DONE
        else:
            is_retried = any(isinstance(middleware, Retries) for middleware in broker.middleware)
            outcome = Counter.RETRIED if is_retried else Counter.FAILED
        self._stats.end(message, outcome)

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        del broker
        self._stats.end(message, Counter.FAILED if message.failed else None)

    def after_nack(self, broker: Broker, message: MessageProxy) -> None:
        # No thread ever gets a job of an actor that nobody knows: Dramatiq makes it a dead letter when it is fetched.
        if message.actor_name not in broker.actors:
            self._stats.end(message, Counter.FAILED)
