"""What becomes of this worker's jobs, told to Redis once a second: how many, which run, which are done, and for whom.

A thread of its own gathers and tells; a job's thread does no more than put a few values into memory. Each part says in
its own module what it tells: `stats`, `running`, `records`, `organizations`, `stalled`, `recording`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import redis
from dramatiq import Broker
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware

from crewcall_worker.options import ORGANIZATION, REDIS_ID
from crewcall_worker.queues.actors import job_of
from crewcall_worker.queues.organizations import OrganizationTallies
from crewcall_worker.queues.records import Finished, Records
from crewcall_worker.queues.running import Run, RunningJobs
from crewcall_worker.queues.stalled import Stalled
from crewcall_worker.recording import Recording
from crewcall_worker.redis_clock import RedisClock
from crewcall_worker.retention import Retention
from crewcall_worker.stats import Stats, outcome_of
from crewcall_worker.wire import Counter, Keys

TELL_EVERY = 1.0
CLEAR_UP_EVERY = 30.0

log = logging.getLogger(__name__)


class Accounts:
    """One worker's. `take_part` makes it see the broker's jobs; `start` and `stop` are those of its thread."""

    def __init__(
        self,
        broker: RedisBroker,
        clock: RedisClock,
        queues: Sequence[str],
        retention: Retention,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        keys = Keys(broker.namespace)
        self.stats = Stats(broker, clock, steady)
        self.stalled = Stalled(partial(job_of, broker))
        self.recording = Recording(broker.client, keys, queues, steady)
        self.running = RunningJobs(keys, lambda: str(broker.broker_id))
        self.records = Records(broker.client, keys, retention)
        self.organizations = OrganizationTallies(keys, clock.now_ms)
        self._broker = broker
        self._clock = clock
        self._queues = tuple(queues)
        self._steady = steady
        self._clear_up_at = 0.0
        self._has_told_retention = False
        self._retention = retention
        self._keys = keys
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crewcall-accounts", daemon=True)

    def take_part(self) -> None:
        """See each job begin, after all that may still stop it, and end, after it is settled what becomes of it."""
        self._broker.middleware.insert(0, _AtTheEnd(self))
        self._broker.add_middleware(_AtTheStart(self))

    def start(self) -> None:
        """Tell each second, until `stop`."""
        self.recording.look()
        self._thread.start()

    def stop(self) -> None:
        """Tell a last time what is not told yet. Where Redis is away or hangs, it is lost."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(TELL_EVERY)
        if not self._thread.is_alive():  # else it waits for Redis still, and two may not tell at once
            self._tell_if_possible()

    def begin(self, message: MessageProxy) -> None:
        """A job begins."""
        self.stats.begin(Run(message, message.options[REDIS_ID], message.queue_name, self._steady()))

    def end(self, message: MessageProxy, outcome: Counter | None) -> None:
        """A job is over: DONE, FAILED, RETRIED, or None where it was skipped."""
        run, organization = self.stats.end(message, outcome), message.options.get(ORGANIZATION)
        if run is not None and outcome is not None:
            self.recording.note(run)
        if outcome not in (Counter.DONE, Counter.FAILED) or not isinstance(organization, str):
            return
        self.organizations.count(organization, message.queue_name, outcome)
        now_ms = self._clock.known_ms()
        if outcome is Counter.DONE and run is not None and now_ms is not None:
            done = Finished(message.copy(), now_ms - run.ms_until(self._steady()), now_ms, str(self._broker.broker_id))
            self.records.add(message.queue_name, done)

    def tell(self) -> None:
        """Tell all of it. Raises `redis.RedisError`; what was not taken is kept for the next time."""
        client, runs, now = self._broker.client, self.stats.runs(), self._steady()
        self.stalled.look(runs, now)
        self.stats.tell()
        if not self._has_told_retention:
            client.set(self._keys.retention, round(self._retention.dead_for * 1000))
            self._has_told_retention = True
        self.running.tell(client, runs, now, self._clock.now_ms())
        self.records.write()
        self.organizations.tell(client)
        self.recording.write()
        if now >= self._clear_up_at:
            self._clear_up_at = now + CLEAR_UP_EVERY
            for queue in self._queues:
                self.running.clear_up(client, queue, runs)

    def _run(self) -> None:
        while not self._stopped.wait(TELL_EVERY):
            self._tell_if_possible()

    def _tell_if_possible(self) -> None:
        try:
            self.tell()
        except redis.RedisError as error:
            log.debug("What became of jobs is kept until Redis takes it: %s", error)


class _AtTheStart(Middleware):
    """The last middleware: called when nothing can stop the job any more."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        del broker
        self._accounts.begin(message)


class _AtTheEnd(Middleware):
    """The first middleware: hooks after a job are called in reverse, so it is known by now what becomes of it."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        del result
        self._accounts.end(message, outcome_of(broker, message, exception))

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        del broker
        self._accounts.end(message, Counter.FAILED if message.failed else None)

    def after_nack(self, broker: Broker, message: MessageProxy) -> None:
        # No thread ever gets a job of an actor that nobody knows: Dramatiq makes it a dead letter when it is fetched.
        if message.actor_name not in broker.actors:
            self._accounts.end(message, Counter.FAILED)
