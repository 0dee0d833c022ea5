"""Jobs of a project with a plain Dramatiq broker of its own, which looks after dead workers at each of its commands."""

from __future__ import annotations

import os

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from crewcall_worker import wire

CERTAIN = 1_000_000
"""Dramatiq's chance of maintenance, out of a million (dramatiq/brokers/redis.py): no test waits for a chance."""

broker = RedisBroker(
    url=os.environ.get("TEST_OWN_URL") or os.environ[wire.ENV_REDIS_URL],
    namespace=os.environ.get("TEST_OWN_NAMESPACE", "dramatiq"),
    maintenance_chance=CERTAIN,
)
dramatiq.set_broker(broker)

from tests.support import jobs  # noqa: E402 - its actors join the broker that is set by now

LOOKED = "test:looked"


@dramatiq.actor(queue_name=jobs.QUEUE, max_retries=0)
def look() -> None:
    """Ask the broker for the length of the queue, by one of Dramatiq's own commands."""
    broker.do_qsize(jobs.QUEUE)
    with redis.Redis.from_url(os.environ[wire.ENV_REDIS_URL]) as client:
        client.incr(LOOKED)
