"""Jobs on two queues that tell how many of their queue run at once; one of the queues has a limit of its own."""

from __future__ import annotations

import os

import dramatiq
import redis
from tests.support.limited_queues import LIMIT, QUICK, SLOW, begun, done, gate

from crewcall_worker import wire
from crewcall_worker.queues import JobContext, Payload, job

LONGEST_HOLD = 60


@job("slow.held", queue=SLOW, concurrency=LIMIT)
def _slow(payload: Payload, context: JobContext) -> None:
    """It is only there for its limit: what runs are the actors below."""


@dramatiq.actor(queue_name=SLOW, max_retries=0)
def slow() -> None:
    _hold(SLOW)


@dramatiq.actor(queue_name=QUICK, max_retries=0)
def quick() -> None:
    _hold(QUICK)


def _hold(queue: str) -> None:
    """Note how many of the queue run by now, wait to be let go, be done."""
    with redis.Redis.from_url(os.environ[wire.ENV_REDIS_URL], socket_timeout=None) as client:
        client.rpush(begun(queue), client.incr(f"test:{queue}:running"))
        client.blpop([gate(queue)], timeout=LONGEST_HOLD)
        client.decr(f"test:{queue}:running")
        client.incr(done(queue))
