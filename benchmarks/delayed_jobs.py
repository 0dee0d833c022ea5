"""The jobs of the benchmark of delayed jobs: each says when it was begun."""

from __future__ import annotations

import os
import time

import dramatiq
import redis

from crewcall_worker import wire

BEGUN_AT = "bench:begun-at"
"""Hash: "<queue> <number>" -> when the job was begun, Unix time in seconds."""
QUEUES = ("runtime", "plain")
_client = redis.Redis.from_url(os.environ.get(wire.ENV_REDIS_URL, "redis://"))


def stamp(queue: str, job: int) -> None:
    """Leave the time."""
    _client.hsetnx(BEGUN_AT, f"{queue} {job}", str(time.time()))


for _queue in QUEUES:
    dramatiq.actor(queue_name=_queue, actor_name=_queue, max_retries=0)(stamp)
