"""A client of the pool's Redis, made from the worker's settings: by its URL, or by Sentinels that know the primary.

Nothing is connected before the client is used. With Sentinels each new connection asks them first, so that after a
failover the next try finds the new primary.
"""

from __future__ import annotations

import ssl
from typing import Any

import redis
from redis.sentinel import MasterNotFoundError, Sentinel

from crewcall_worker import wire
from crewcall_worker.errors import BadSetting
from crewcall_worker.redis_address import ENV_REDIS_CA, Sentinels, sentinels
from crewcall_worker.redis_settings import URL_ALLOWED
from crewcall_worker.settings import Settings

#: Seconds for a Sentinel to answer before the next one is asked.
SENTINEL_TIMEOUT = 1.0
MOST_CONNECTIONS = 10_000
"""As many as a Redis takes of all its clients, unless it is told otherwise (its `maxclients`): here nobody is refused.
A thread uses one at a time. redis-py's own bound of 100 is below the threads that a worker may have."""


class _Sentinel(Sentinel):
    """Says where the Sentinels are that do not answer; redis-py shows the objects that it asks them with."""

    def discover_master(self, service_name: str) -> tuple[str, int]:
        try:
            host, port = super().discover_master(service_name)  # type: ignore[no-untyped-call]
        except MasterNotFoundError as error:
            asked = [it.connection_pool.connection_kwargs for it in self.sentinels]
            places = ", ".join(f"{it['host']}:{it['port']}" for it in asked)
            words = f"no Sentinel of {places} answers that there is a primary named {service_name!r}"
            raise MasterNotFoundError(words) from error
        return host, port


def make_client(settings: Settings, **options: Any) -> redis.Redis:
    """A client with these `options` of redis-py beside the settings'. The URL may say how many connections it makes.

    Raises `BadSetting` where the URL is none of a Redis, or has an option that is unknown, or the CA is no file.
    """
    options = {"max_connections": MOST_CONNECTIONS, **options}
    login = _given(username=settings.redis_username, password=settings.redis_password)
    try:
        found = sentinels(settings.redis_url)
        is_tls = found.is_tls if found else settings.redis_url.startswith("rediss://")
        tls = _verified_by(settings.redis_ca) if is_tls else {}
        if found is not None:
            return _by_sentinels(found, settings, {**login, **tls, **options}, tls)
        client = redis.Redis.from_url(settings.redis_url, **login, **tls, **options)
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # knows every option in the URL, or says so
    except (ValueError, TypeError):
        # Neither the value nor the parser's words: a password may be in them.
        raise BadSetting(wire.ENV_REDIS_URL, "(not shown)", f"it cannot be understood; {URL_ALLOWED}") from None
    return client


def _by_sentinels(found: Sentinels, settings: Settings, options: dict[str, Any], tls: dict[str, str]) -> redis.Redis:
    login = _given(username=settings.sentinel_username, password=settings.sentinel_password)
    each = {"socket_connect_timeout": SENTINEL_TIMEOUT, "socket_timeout": SENTINEL_TIMEOUT, **login, **tls}
    manager = _Sentinel(  # type: ignore[no-untyped-call]
        found.addresses, sentinel_kwargs={"ssl": found.is_tls, **each}
    )
    client: redis.Redis = manager.master_for(  # type: ignore[no-untyped-call]
        found.master, db=found.database, ssl=found.is_tls, **options
    )
    return client


def _verified_by(file: str) -> dict[str, str]:
    if not file:
        return {}
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:  # ssl.SSLError among them
        raise BadSetting(ENV_REDIS_CA, file, "name a file with certificates in PEM") from error
    return {"ssl_ca_certs": file}


def _given(**words: str) -> dict[str, str]:
    return {name: value for name, value in words.items() if value}
