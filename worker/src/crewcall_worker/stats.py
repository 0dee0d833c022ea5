"""What this worker's jobs add up to, by queue, those that run now included: counted in memory, for `accounts` to tell.

Counters only ever rise, and those in Redis are the sum over all workers there ever were: what one adds between two
tellings is added in one transaction. Who was killed takes at most a second of counts with him. Where the answer to a
telling is lost it is told again, so after an outage a second may be counted twice.
"""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections.abc import Callable

from dramatiq import Broker
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Retries

from crewcall_worker.options import REDIS_ID
from crewcall_worker.queues.running import Run
from crewcall_worker.redis_clock import RedisClock
from crewcall_worker.wire import READY_AT, Counter, Keys, script, wait_bucket, wait_field


class Stats:
    """One worker's. `begin` and `end` are for its threads, `tell` for one other; anybody may read the rest."""

    def __init__(self, broker: RedisBroker, clock: RedisClock, steady: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steady = steady
        self._keys = Keys(broker.namespace)
        self._script = broker.client.register_script(script("tell"))
        self._lock = threading.Lock()  # a run is either among these, or its time among the totals
        self._runs: dict[str, Run] = {}  # by redis_message_id
        self._totals: Tally[tuple[str, str]] = Tally()
        self._told: Tally[tuple[str, str]] = Tally()

    def totals(self) -> Tally[tuple[str, str]]:
        """Counts since the process began, by queue and `wire` field; times in ms, as far as jobs have run by now."""
        with self._lock:
            totals, now = self._totals.copy(), self._steady()
            for run in self._runs.values():
                totals[run.queue, Counter.BUSY_MS] += run.ms_until(now)
            return totals

    def runs(self) -> list[Run]:
        """What runs now."""
        return list(self._runs.values())

    def running(self) -> dict[str, int]:
        """How many jobs run now, by queue; 0 where there were any before."""
        running = Tally(run.queue for run in self.runs())
        return {queue: running[queue] for queue, _ in self.totals()}

    def begin(self, run: Run) -> None:
        """A job begins."""
        queue, now_ms, ready_at = run.queue, self._clock.known_ms(), run.message.options.get(READY_AT)
        with self._lock:
            self._runs[run.redis_id] = run
            self._totals[queue, Counter.STARTED] += 1
            if now_ms is not None and isinstance(ready_at, int | float):
                wait_ms = max(0, round(now_ms - ready_at))
                self._totals[queue, Counter.WAIT_MS_SUM] += wait_ms
                self._totals[queue, wait_field(wait_bucket(wait_ms))] += 1

    def end(self, message: MessageProxy, outcome: Counter | None) -> Run | None:
        """A job is over, DONE, FAILED, RETRIED, or None where skipped; its run, None where it never began."""
        with self._lock:
            run = self._runs.pop(message.options[REDIS_ID], None)
            if run is not None:
                self._totals[run.queue, Counter.BUSY_MS] += run.ms_until(self._steady())
            if outcome is not None:
                self._totals[message.queue_name, outcome] += 1
        return run

    def tell(self) -> None:
        """Add to Redis what has come since the last time. Raises `redis.RedisError`; then it is kept."""
        totals = self.totals()
        news = totals - self._told
        if not news:
            return
        keys = [self._keys.stats(queue) for queue, _ in news]
        self._script(keys=keys, args=[part for (_, field), count in news.items() for part in (field, count)])
        self._told = totals


def outcome_of(broker: Broker, message: MessageProxy, exception: BaseException | None) -> Counter:
    """What has become of a job that has ended: DONE, FAILED or RETRIED."""
    if message.failed:
        return Counter.FAILED
    if exception is None:
        return Counter.DONE
    is_retried = any(isinstance(middleware, Retries) for middleware in broker.middleware)
    return Counter.RETRIED if is_retried else Counter.FAILED
