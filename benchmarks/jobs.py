"""The jobs that benchmarks have workers run."""

from __future__ import annotations

import os
import time

import dramatiq
import redis

from crewcall_worker import wire

BEGUN, DONE = "bench:begun", "bench:done"
"""Hashes: a job's number -> how often it was begun, and done."""
LONG, SHORT = "long", "short"
_client = redis.Redis.from_url(os.environ.get(wire.ENV_REDIS_URL, "redis://"))


@dramatiq.actor(queue_name=SHORT)
def nothing() -> None:
    """Take no time, so that what is measured is the worker's own."""


@dramatiq.actor(queue_name=SHORT, max_retries=0)
def short(job: int, seconds: float) -> None:
    """Sleep, and leave traces at either end."""
    _work(job, seconds)


@dramatiq.actor(queue_name=LONG, max_retries=0)
def long(job: int, seconds: float) -> None:
    """The same in another queue."""
    _work(job, seconds)


def _work(job: int, seconds: float) -> None:
    _client.hincrby(BEGUN, str(job), 1)
    time.sleep(seconds)
    _client.hincrby(DONE, str(job), 1)
