"""Jobs for tests, run by real workers: they wait for the test's word instead of for a time.

`hold` tells that it has begun and blocks until the test lets it go, so that a test can look at each stage.
"""

from __future__ import annotations

import os

import dramatiq
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from crewcall_worker import wire

QUEUE = "sms"
BEGUN, GATE, DONE = "test:begun", "test:gate", "test:done"
LONGEST_HOLD = 600


@dramatiq.actor(queue_name=QUEUE, max_retries=0)
def hold(job: int) -> None:
    """Begin, wait to be let go, whether or not Redis is there meanwhile, be done."""
    url, patient = os.environ[wire.ENV_REDIS_URL], Retry(ConstantBackoff(0.1), -1)
    with (
        redis.Redis.from_url(url) as client,
        redis.Redis.from_url(url, socket_timeout=None, retry=patient) as gate,
    ):
        client.rpush(BEGUN, job)
        gate.blpop([GATE], timeout=LONGEST_HOLD)
        client.rpush(DONE, job)


@dramatiq.actor(queue_name=QUEUE, max_retries=0)
def fail() -> None:
    """Fail for good: the message becomes a dead letter."""
    raise RuntimeError("as the test wants it")


def let_go(client: redis.Redis, jobs: int) -> None:
    """Let so many held jobs finish."""
    client.rpush(GATE, *range(jobs))
