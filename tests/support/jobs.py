"""Jobs for tests, run by real workers: they wait for the test's word instead of for a time.

`hold` tells that it has begun and blocks until the test lets it go, so that a test can look at each stage.
"""

from __future__ import annotations

import os

import dramatiq
import redis

from crewcall_worker import wire

QUEUE = "sms"
BEGUN, GATE, DONE = "test:begun", "test:gate", "test:done"
LONGEST_HOLD = 600


@dramatiq.actor(queue_name=QUEUE, max_retries=0)
def hold(job: int) -> None:
    """Begin, wait to be let go, be done."""
    with redis.Redis.from_url(os.environ[wire.ENV_REDIS_URL], socket_timeout=None) as client:
        client.rpush(BEGUN, job)
        client.blpop([GATE], timeout=LONGEST_HOLD)
        client.rpush(DONE, job)


@dramatiq.actor(queue_name=QUEUE, max_retries=0)
def fail() -> None:
    """Fail for good: the message becomes a dead letter."""
    raise RuntimeError("as the test wants it")


def let_go(client: redis.Redis, jobs: int) -> None:
    """Let so many held jobs finish."""
    client.rpush(GATE, *range(jobs))
