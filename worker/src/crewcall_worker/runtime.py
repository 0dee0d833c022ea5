"""All that makes a Dramatiq worker a member of its pool, put together: made, started and sent home as one."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import redis
from dramatiq.brokers.redis import RedisBroker

from crewcall_worker import process
from crewcall_worker.admission import Admission
from crewcall_worker.attempts import Attempts
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.concurrency import UNLIMITED, Capacity
from crewcall_worker.delayed import DueMessages
from crewcall_worker.emitter import Emitter
from crewcall_worker.health import Health
from crewcall_worker.hints import Listener
from crewcall_worker.intake import Intake
from crewcall_worker.job_metrics import JobMetrics
from crewcall_worker.outbox import Outbox
from crewcall_worker.presence import Identity, Presence
from crewcall_worker.queues.accounts import Accounts
from crewcall_worker.queues.rates import Turns
from crewcall_worker.queues.scheduler import Scheduler
from crewcall_worker.reaper import Reaper, Watch
from crewcall_worker.settings import LogFormat, Settings
from crewcall_worker.states import Event
from crewcall_worker.steward import Steward

log = logging.getLogger(__name__)


class Runtime:
    """One process's. `steward` has its state, `intake` what it holds and runs."""

    def __init__(
        self,
        broker: RedisBroker,
        settings: Settings,
        pod: str,
        queues: Sequence[str],
        capacity: Capacity = UNLIMITED,
    ) -> None:
        """Take part in the broker. Raises `redis.RedisError` where Redis cannot tell the time."""
        outbox = broker.outbox if isinstance(broker, CrewcallBroker) else Outbox(broker)
        clock = outbox.clock
        started_ms = clock.now_ms()
        self.intake = Intake(
            broker,
            settings.pool,
            on_idle=lambda: self.steward.hear(Event.IDLE),
            limits=capacity.limits,
            now_ms=clock.known_ms,
        )
        self.steward = Steward(self.intake, settings.shutdown_timeout, on_change=lambda: self._presence.tell())
        self.accounts = Accounts(broker, clock, queues, settings.retention)
        identity = Identity(pod, started_ms, capacity.threads, tuple(queues), process.identity())
        self._presence = Presence(
            self.intake,
            identity,
            clock,
            lambda: self.steward.told,
            self.steward.hear,
            lambda: self.accounts.stalled.count,
        )
        self.health = Health(self.intake, self._presence, self.steward)
        self._scheduler = Scheduler(broker, clock)
        watch = Watch(
            broker.namespace, settings.pool, tuple(queues), round(settings.lapsed_after * 1000), settings.most_kills
        )
        self._reaper = Reaper(broker.client, watch, lambda: self.intake.worker_id)
        keys = self.intake.keys
        self._listener = Listener(
            broker.client,
            {
                keys.hints: lambda queue: self.intake.wake(queue or None),
                keys.pauses: lambda _: self._presence.tell(),
                keys.orders_changed: lambda name: self._presence.tell() if name in {"", pod} else None,
                keys.recording: self.accounts.recording.hear,
            },
        )
        self.jobs = JobMetrics()
        attempts = Attempts(broker, self.jobs.count, are_all_told=settings.log_format is LogFormat.JSON)
        turns = Turns(broker, self.intake.wake)
        self.intake.take_part()
        Admission(
            self.intake, turns.is_to_wait, sure_for=settings.lapsed_after / 3, most_kills=settings.most_kills
        ).take_part()
        self._scheduler.take_part()
        self.accounts.take_part()
        broker.add_middleware(DueMessages(outbox))
        outbox.take_part()
        attempts.take_part()
        Emitter(broker).take_part()

    def start(self) -> None:
        """Let messages in, once the pool knows of this worker."""
        self._presence.start()
        self._listener.start()
        self._reaper.start()
        self.accounts.start()
        self._scheduler.start()
        self.intake.open()

    def leave(self) -> int:
        """Put back what still runs if it was cut off, and leave the pool; how many messages were put back."""
        self._reaper.stop()
        self._listener.stop()
        self._scheduler.stop()
        self.accounts.stop()
        try:
            put_back = self.intake.put_back() if self.steward.is_cut_off else 0
            self._presence.leave()
        except redis.RedisError as error:
            log.warning("Redis did not hear that this worker leaves: %s", error)
            return 0
        return put_back
