"""The jobs that this worker runs now: told to Redis, for whoever looks at a queue.

Redis hears once a second what has changed since. So a job costs it nothing that is over within the second, as most are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import redis
from dramatiq.broker import MessageProxy

from crewcall_worker import wire
from crewcall_worker.wire import Keys

KEPT_MS = 86_400_000
"""How long the keys stay without a word; a worker that runs anything renews them."""
RENEW_EVERY = 3_600.0
LOOKED_AT = 100
"""Entries of a queue that are looked at in one go, whether anybody has the job still."""


class Run(NamedTuple):  # one is made for each job, plain actors' included: a dataclass takes three times as long
    """A run of a job: `began` by time.monotonic(), in seconds."""

    message: MessageProxy
    redis_id: str
    queue: str
    began: float

    def ms_until(self, moment: float) -> int:
        """How long it had run at that moment, in whole ms."""
        return int((moment - self.began) * 1000)


class RunningJobs:
    """What Redis was told of one worker's."""

    def __init__(self, keys: Keys, worker_id: Callable[[], str]) -> None:
        self._keys = keys
        self._worker_id = worker_id
        self._told: dict[str, str] = {}  # redis_message_id -> queue
        self._renew_at = 0.0

    def tell(self, client: redis.Redis, running: Iterable[Run], steady: float, now_ms: int) -> None:
        """Tell what has changed, at this moment by either clock; renew what has not, now and then.

        Raises `redis.RedisError`.
        """
        runs = {run.redis_id: run for run in running}
        over: dict[str, list[str]] = defaultdict(list)
        for redis_id, queue in self._told.items():
            if redis_id not in runs:
                over[queue].append(redis_id)
        is_to_renew = steady >= self._renew_at
        new: dict[str, list[Run]] = defaultdict(list)
        for run in runs.values():
            if is_to_renew or run.redis_id not in self._told:
                new[run.queue].append(run)
        if not over and not new:
            return
        with client.pipeline(transaction=True) as pipeline:
            for queue, ids in over.items():
                pipeline.zrem(self._keys.running(queue), *ids)
                pipeline.hdel(self._keys.runners(queue), *ids)
            for queue, begun in new.items():
                worker = self._worker_id()
                pipeline.zadd(
                    self._keys.running(queue),
                    {run.redis_id: now_ms - run.ms_until(steady) for run in begun},
                )
                pipeline.hset(self._keys.runners(queue), mapping={run.redis_id: worker for run in begun})
                pipeline.pexpire(self._keys.running(queue), KEPT_MS)
                pipeline.pexpire(self._keys.runners(queue), KEPT_MS)
            pipeline.execute()
        self._told = {redis_id: run.queue for redis_id, run in runs.items()}
        if is_to_renew:
            self._renew_at = steady + RENEW_EVERY

    def clear_up(self, client: redis.Redis, queue: str, running: Iterable[Run]) -> None:
        """Take out what a dead worker has left, the oldest first: a message that is there is some worker's.

        Raises `redis.RedisError`.
        """
        ids: list[Any] = client.zrange(self._keys.running(queue), 0, LOOKED_AT - 1)
        if not ids:
            return
        workers: list[Any] = client.hmget(self._keys.runners(queue), ids)
        with client.pipeline(transaction=False) as pipeline:
            for redis_id, worker in zip(ids, workers, strict=True):
                pipeline.sismember(self._keys.acks(wire.text(worker or b""), queue), redis_id)
            held = pipeline.execute()
        own = {run.redis_id for run in running}
        left = [id_ for id_, is_held in zip(ids, held, strict=True) if not is_held and wire.text(id_) not in own]
        if left:
            client.zrem(self._keys.running(queue), *left)
            client.hdel(self._keys.runners(queue), *left)
