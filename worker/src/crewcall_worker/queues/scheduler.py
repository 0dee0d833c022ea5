"""The thread in each worker that plans what is next once a schedule's tick has passed, and leaves out what is too late.

All workers look, each second; which of them plans is decided in Redis, by `lua/plan.lua`, in one step. So it does not
matter how many there are, nor where one of them dies: a tick has one message, or is planned by the next who looks.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass

import redis
from dramatiq import Broker
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware, SkipMessage

from crewcall_worker import wire
from crewcall_worker.options import SCHEDULE, START_UNTIL
from crewcall_worker.queues.plans import read_definition, read_plan
from crewcall_worker.queues.schedules import Schedules
from crewcall_worker.redis_clock import RedisClock

LOOK_EVERY = 1.0
AT_ONCE = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Passed:
    """A schedule whose tick had passed at `now_ms`, as it was seen."""

    now_ms: int
    name: str
    definition: str
    plan: str


class Scheduler(Middleware):
    """One worker's. `take_part` makes it see the broker's jobs; `start` and `stop` are those of its thread."""

    def __init__(self, broker: RedisBroker, clock: RedisClock) -> None:
        self._broker = broker
        self._clock = clock
        self._due = broker.client.register_script(wire.script("due"))
        self._schedules = Schedules(broker.client, broker.namespace)
        self._told: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crewcall-scheduler", daemon=True)

    def take_part(self) -> None:
        """Leave out ticks that come too late."""
        self._broker.add_middleware(self)

    def start(self) -> None:
        """Look each second, until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; comes back once a look that is under way is over, or a second later."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(LOOK_EVERY)

    def plan_all(self, ahead_ms: int = 0) -> None:
        """Plan until no tick has passed that can be planned, as if it were so much later. Raises `redis.RedisError`.

        Of those that make up for lost time, each look plans one tick. Those that nobody can plan stay at the head.
        """
        left = 0
        while not self._stopped.is_set() and (passed := self.look(ahead_ms, left)):
            left += len(passed) - self.plan(passed)

    def look(self, ahead_ms: int = 0, but: int = 0) -> list[Passed]:
        """Some schedules whose tick has passed, the longest ago first, but for the first few; with `ahead_ms` as if it
        were so much later.

        Raises `redis.RedisError`.
        """
        now_ms, *due = self._due(args=[self._broker.namespace, but, AT_ONCE, ahead_ms])
        words = [wire.text(value) for value in due]
        return [Passed(now_ms, *words[at : at + 3]) for at in range(0, len(words), 3)]

    def plan(self, passed: Iterable[Passed]) -> int:
        """Plan what follows on these ticks; how many were planned by this worker. Raises `redis.RedisError`."""
        planned = 0
        for it in passed:
            try:
                planned += self._plan(it)
            except ValueError as error:
                self._tell_once(f"Schedule {it.name!r} is left alone: {error}")
        return planned

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        """A tick's job that is begun later than it may be is left out; a retry of one is not."""
        del broker
        until_ms, now_ms = message.options.pop(START_UNTIL, None), self._clock.known_ms()
        if not isinstance(until_ms, int) or now_ms is None or now_ms <= until_ms:
            return
        log.warning(
            "Schedule %s: its tick is left out, for it could not be begun within %.0f s",
            message.options.get(SCHEDULE),
            (until_ms - message.message_timestamp) / 1000,
        )
        raise SkipMessage("It came too late")

    def _plan(self, it: Passed) -> bool:
        definition, plan = read_definition(it.definition), read_plan(it.plan)
        tick_ms, seen = definition.next(plan.tick_ms, it.now_ms), (it.definition, it.plan)
        return self._schedules.change(it.name, seen, definition, tick_ms, plan.tick_ms, has_passed=tick_ms is not None)

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_EVERY):
            try:
                self.plan_all()
            except redis.RedisError as error:
                log.debug("Schedules wait for Redis: %s", error)

    def _tell_once(self, words: str) -> None:
        if words not in self._told:
            self._told.add(words)
            log.warning("%s", words)
