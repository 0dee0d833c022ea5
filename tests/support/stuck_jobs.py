"""Jobs of a worker of which a part gets stuck, when it starts or when a job asks for it; and which has little patience.

For `crewcall-worker run` only, never for a test to import: it changes how long the process waits. By its environment:
`TEST_HUNG_AFTER` in place of a minute, and `TEST_SLOW_BOOT`, a list in Redis to wait for before the worker starts.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from typing import NoReturn

import dramatiq
import redis
from dramatiq.middleware import Middleware

from crewcall_worker import health, steward, wire
from crewcall_worker.consumer import QueueConsumer
from crewcall_worker.presence import Presence

from tests.support.jobs import QUEUE, hold  # isort: skip - the actors that go with these

__all__ = ["hold", "interrupt", "stick"]

health.HUNG_AFTER = float(os.environ["TEST_HUNG_AFTER"])
steward.TELL_EVERY = 0.2

SLOW_BOOT = os.environ.get("TEST_SLOW_BOOT", "")
STICKS = {"presence": (Presence, "beat"), "consumer": (QueueConsumer, "_take"), "steward": (steward.Steward, "take")}
"""Which method of what never returns again."""


@dramatiq.actor(queue_name=QUEUE, max_retries=0)
def stick(part: str) -> None:
    """From now on that part of this worker stands still."""
    kind, method = STICKS[part]
    for found in gc.get_objects():
        if isinstance(found, kind):
            vars(found)[method] = stand_still


@dramatiq.actor(queue_name=QUEUE, max_retries=0)
def interrupt() -> None:
    """The worker gets a SIGTERM that does not end what its first thread waits for."""
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)


def stand_still(*_: object) -> NoReturn:
    while True:
        threading.Event().wait()


class SlowBoot(Middleware):
    """As that of a project whose workers read a large model before they start."""

    def after_process_boot(self, broker: dramatiq.Broker) -> None:
        del broker
        with redis.Redis.from_url(os.environ[wire.ENV_REDIS_URL], socket_timeout=None) as client:
            client.set(f"{SLOW_BOOT}:begun", 1)
            client.blpop([SLOW_BOOT], timeout=600)


if SLOW_BOOT:
    dramatiq.get_broker().add_middleware(SlowBoot())
