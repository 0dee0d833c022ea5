"""Crewcall's broker for producers and workers, the pool's settings in it, and the wait until its Redis is there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthenticationWrongNumberOfArgsError, NoPermissionError
from redis.retry import Retry

from crewcall_worker import wire
from crewcall_worker.errors import RedisRefused
from crewcall_worker.outbox import Outbox
from crewcall_worker.redis_client import make_client
from crewcall_worker.settings import Settings

ATTEMPT_EVERY = 1.0
ATTEMPT_TIMEOUT = 5.0
TELL_EVERY = 30  # attempts

log = logging.getLogger(__name__)


class CrewcallBroker(RedisBroker):
    """Dramatiq's `RedisBroker`, for producers that want their pool to be scaled by all that Crewcall can know.

    It takes what `RedisBroker` takes. Jobs sent through it carry when they became ready; delayed ones are in the index
    by which a sleeping pool is woken in time; and the first job in an empty queue is hinted at, so that nobody has to
    look for it. Jobs of a plain `RedisBroker` are run as well.
    """

    def __init__(self, **options: Any) -> None:
        # Dramatiq's maintenance takes every worker for dead after an outage of Redis; `recovery` does it instead.
        RedisBroker.__init__(self, **{"maintenance_chance": 0, **options})
        self.outbox = Outbox(self)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Send a message, `delay` ms from now."""
        return self.outbox.enqueue(message, delay=delay)

    def flush(self, queue_name: str) -> None:
        """Drop all messages of a queue, and what is noted of them."""
        super().flush(queue_name)
        self.client.register_script(wire.script("flush"))(args=[self.namespace, queue_name])


def make_broker(settings: Settings) -> CrewcallBroker:
    """The broker that the job modules' actors join; it connects when it is first used.

    Raises `BadSetting` where the URL is none of a Redis, or has an option that is unknown.
    """
    return CrewcallBroker(client=make_client(settings), namespace=settings.redis_namespace)


def wait_for_redis(settings: Settings, pause: Callable[[float], object]) -> None:
    """Come back once Redis answers, telling what is waited for; `pause` waits so many seconds.

    Raises `RedisRefused` where it answers that user or password are wrong: only a change of settings helps there.
    """
    with make_client(
        settings,
        socket_connect_timeout=ATTEMPT_TIMEOUT,
        socket_timeout=ATTEMPT_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        attempts = 0
        while True:
            try:
                client.ping()
            except (AuthenticationError, AuthenticationWrongNumberOfArgsError) as error:
                raise RedisRefused(
                    f"Redis {settings.redis_endpoint} refuses the user or the password: {error}. Correct REDIS_URL."
                ) from error
            except NoPermissionError:
                break  # it answers; what this user may do shows in its work
            except (redis.RedisError, OSError) as error:
                if attempts % TELL_EVERY == 0:
                    log.warning("Waiting for Redis %s: %s", settings.redis_endpoint, error)
                attempts += 1
                pause(ATTEMPT_EVERY)
            else:
                break
    if attempts:
        log.info("Redis %s answers", settings.redis_endpoint)
