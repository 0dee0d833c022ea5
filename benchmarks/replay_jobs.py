"""The jobs of the replay: each says when it was begun, and keeps its thread busy for as long as the trace says."""

from __future__ import annotations

import os
import time

import dramatiq
import redis

from crewcall_worker import wire

BEGUN_AT = "bench:begun-at"
"""Hash: a job's number -> when it was begun, Unix time in seconds."""
QUEUE, ACTOR = "replay", "busy"
_client = redis.Redis.from_url(os.environ.get(wire.ENV_REDIS_URL, "redis://"))


@dramatiq.actor(queue_name=QUEUE, actor_name=ACTOR, max_retries=0)
def busy(job: int, seconds: float) -> None:
    """Leave the time, and sleep."""
    _client.hsetnx(BEGUN_AT, str(job), str(time.time()))
    time.sleep(seconds)
