"""Rate limits: how many jobs of a type, or of one of its keys, may start in a time.

A job whose turn has not come goes back to its queue as a delayed message, due at its turn; that is no retry, and holds
no thread. How turns are given is in `lua/rate.lua`: starts keep to the limit, those of one organisation in the order in
which its jobs were first fetched; one that comes later does not wait for another's line. Nothing is held by anybody,
so nothing leaks where a worker dies: its job is given to another one, which asks again.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import redis
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import dq_name

from crewcall_worker import wire
from crewcall_worker.options import ORGANIZATION, RATE_KEY, RATE_TURN, REDIS_ID
from crewcall_worker.queues.actors import job_of
from crewcall_worker.queues.job import RateLimit

ASK_AGAIN_AFTER = 1.0

log = logging.getLogger(__name__)


class Rates:
    """The limits of one namespace, in Redis."""

    def __init__(self, client: redis.Redis, keys: wire.Keys) -> None:
        self._keys = keys
        self._script = client.register_script(wire.script("rate"))

    def ask(
        self,
        job: str,
        key: str,
        limit: RateLimit[Any],
        *,
        organization: str = "",
        told: int = 0,
        now_us: int | None = None,
    ) -> int | None:
        """None where one of these jobs may start now, which is counted; else when its turn is, in ms.

        `told`: how many turns it was told before. `now_us` stands in for Redis's time. Raises `redis.RedisError`.
        """
        key = wire.short(key)
        interval_us = math.ceil(limit.period * 1_000_000 / limit.limit)
        time_us = "" if now_us is None else now_us
        keys = [self._keys.rate(job, key), self._keys.turns(job, key, organization)]
        answer = self._script(keys=keys, args=[interval_us, limit.burst, told, time_us])
        return int(answer) or None


class Turns:
    """A worker's part: asked of each message that one of its threads is about to begin."""

    def __init__(self, broker: RedisBroker, wake: Callable[[str], object]) -> None:
        """`wake` gets the name of a queue of delayed messages that has a new one."""
        self._broker = broker
        self._wake = wake
        self._keys = wire.Keys(broker.namespace)
        self._rates = Rates(broker.client, self._keys)
        self._postpone = broker.client.register_script(wire.script("postpone"))

    def is_to_wait(self, message: MessageProxy, owner: str) -> bool:
        """Whether it may not begin yet: then it is a delayed message by now, and no longer this worker's.

        `owner` is the worker id that it was fetched under. Waits while Redis cannot tell.
        """
        job = job_of(self._broker, message.actor_name)
        if job is None or job.rate is None:
            return False
        while True:
            try:
                return self._is_to_wait(message, owner, job.rate)
            except redis.RedisError as error:
                log.warning("%s waits: Redis cannot tell whether it may start: %s", message, error)
                time.sleep(ASK_AGAIN_AFTER)

    def _is_to_wait(self, message: MessageProxy, owner: str, limit: RateLimit[Any]) -> bool:
        key = message.options.get(RATE_KEY, "")
        turns = message.options.get(RATE_TURN)
        told = turns if isinstance(turns, int) else 0
        organization = str(message.options.get(ORGANIZATION, ""))
        turn_ms = self._rates.ask(message.actor_name, str(key), limit, organization=organization, told=told)
        if turn_ms is None:
            message.options.pop(RATE_TURN, None)
            return False
        queue = message.queue_name
        times = {"eta": turn_ms, wire.READY_AT: turn_ms, RATE_TURN: told + 1}
        delayed = message.copy(queue_name=dq_name(queue), options=times)
        keys, id_ = self._keys, message.options[REDIS_ID]
        self._postpone(
            keys=[
                keys.acks(owner, queue),
                keys.messages(queue),
                keys.ready(dq_name(queue)),
                keys.messages(dq_name(queue)),
                keys.eta(queue),
                keys.stats(queue),
            ],
            args=[id_, delayed.encode(), turn_ms, keys.prefix, queue, organization],
        )
        log.debug("%s waits for its turn at %d ms", message, turn_ms)
        self._wake(dq_name(queue))
        return True
