"""The same jobs with a plain Dramatiq broker, for the `dramatiq` command. Its worker tells the benchmark its id."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware

from benchmarks.crews import WORKERS
from crewcall_worker import wire

_broker = RedisBroker(url=os.environ[wire.ENV_REDIS_URL])


class _TellOfTheWorker(Middleware):
    def after_worker_boot(self, broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        if isinstance(broker, RedisBroker):
            broker.client.hset(WORKERS, os.environ[wire.ENV_POD], broker.broker_id)


_broker.add_middleware(_TellOfTheWorker())
dramatiq.set_broker(_broker)

import benchmarks.jobs  # noqa: E402, F401 - its actors join the broker that is set by now
