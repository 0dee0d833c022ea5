"""The same short job, typed and of an organisation, and as a plain actor. Either tells when it began."""

from __future__ import annotations

import os
import time

import dramatiq
import redis

from crewcall_worker import wire
from crewcall_worker.queues import JobContext, Payload, job

BEGAN = "bench:began"
"""Hash: a job's label -> when it began, in ms."""
TYPED, PLAIN = "typed", "plain"
"""Queues."""
SECONDS = 0.005
_client = redis.Redis.from_url(os.environ.get(wire.ENV_REDIS_URL, "redis://"))


class Labelled(Payload):
    """A job with a name of its own."""

    label: str


@job("bench.fair", queue=TYPED)
def fair(payload: Labelled, context: JobContext) -> None:
    """Work for an organisation."""
    del context
    _work(payload.label)


@dramatiq.actor(queue_name=PLAIN, max_retries=0)
def plain(label: str) -> None:
    """The same for nobody in particular."""
    _work(label)


def _work(label: str) -> None:
    seconds, microseconds = _client.time()
    _client.hset(BEGAN, label, seconds * 1000 + microseconds // 1000)
    time.sleep(SECONDS)
