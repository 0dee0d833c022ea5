"""Dramatiq's Redis broker with the pool's settings, and the wait until its Redis is there."""

from __future__ import annotations

import logging
from collections.abc import Callable

import redis
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthenticationWrongNumberOfArgsError, NoPermissionError
from redis.retry import Retry

from crewcall_worker import wire
from crewcall_worker.errors import BadSetting, RedisRefused
from crewcall_worker.settings import URL_ALLOWED, Settings

ATTEMPT_EVERY = 1.0
ATTEMPT_TIMEOUT = 5.0
TELL_EVERY = 30  # attempts

log = logging.getLogger(__name__)


def make_broker(settings: Settings) -> RedisBroker:
    """The broker that the job modules' actors join; it connects when it is first used.

    Raises `BadSetting` where the URL is none of a Redis, or has an option that is unknown.
    """
    try:
        broker = RedisBroker(url=settings.redis_url, namespace=settings.redis_namespace)
        pool = broker.client.connection_pool
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError):
        # Neither the value nor the parser's words: a password may be in them.
        raise BadSetting(wire.ENV_REDIS_URL, "(not shown)", f"it cannot be understood; {URL_ALLOWED}") from None
    return broker


def wait_for_redis(settings: Settings, pause: Callable[[float], object]) -> None:
    """Come back once Redis answers, telling what is waited for; `pause` waits so many seconds.

    Raises `RedisRefused` where it answers that user or password are wrong: only a change of settings helps there.
    """
    with redis.Redis.from_url(
        settings.redis_url,
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
