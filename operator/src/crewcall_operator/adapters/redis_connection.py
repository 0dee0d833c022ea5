"""All that it takes to reach one Redis, and redis-py's connection pool made of it: by a URL, or by Sentinels.

With Sentinels each call asks them first who the primary is, so that the next one after a failover finds the new one.
What is secret is never part of a repr, of `endpoint`, or of an error.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import redis.exceptions as failed
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from crewcall_operator.adapters.redis_answers import Answers
from crewcall_operator.errors import QueueUnavailable
from crewcall_worker.redis_address import URL_FORM, Sentinels, sentinels

#: Seconds for a Sentinel to answer before the next one is asked.
SENTINEL_TIMEOUT = 0.5

UNREADABLE = "(unreadable URL)"
URLS = f"write {URL_FORM}."
_NO_TLS = "spec.redis.tls.caFrom is set, but the URL is not one with TLS. Write rediss:// in it, or remove caFrom."


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in; an empty word is left out."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def options(self) -> dict[str, str]:
        words = {"username": self.username, "password": self.password}
        return {name: word for name, word in words.items() if word}


NOBODY = Login()


@dataclass(frozen=True, slots=True)
class Connection:
    """What identifies a connection: equal ones are one. `ca` holds certificate authorities in PEM, "" the system's."""

    url: str = field(repr=False)
    login: Login = NOBODY
    ca: str = field(default="", repr=False)
    sentinel_login: Login = NOBODY

    def pool(self, **options: Any) -> BlockingConnectionPool:
        """At most one connection, for which callers wait their turn. Raises `QueueUnavailable` on a bad URL.

        `options` are redis-py's for the connection to Redis itself.
        """
        once = {"max_connections": 1, "timeout": None, "protocol": 2, "decode_responses": True, "parser_class": Answers}
        options = {**once, "encoding_errors": "replace", **self.login.options, **options}
        try:
            found = sentinels(self.url)
            tls = self._tls(found.is_tls if found is not None else self.url.startswith("rediss://"))
            if found is not None:
                return self._sentinel_pool(found, {**options, **tls}, tls)
            pool = BlockingConnectionPool.from_url(self.url, **options, **tls)
            pool.connection_class(**pool.connection_kwargs)  # knows every option in the URL, or says so
        except (ValueError, TypeError, AttributeError, LookupError, failed.RedisError):
            # Without the parser's own words: where a password holds a "/", they repeat a part of it.
            raise QueueUnavailable(UNREADABLE, URLS) from None
        return pool

    def _tls(self, is_tls: bool) -> dict[str, str]:
        if self.ca and not is_tls:
            raise QueueUnavailable("(without TLS)", _NO_TLS)
        return {"ssl_ca_data": self.ca} if self.ca else {}

    def _sentinel_pool(self, found: Sentinels, options: dict[str, Any], tls: dict[str, str]) -> BlockingConnectionPool:
        each = {"socket_connect_timeout": SENTINEL_TIMEOUT, "socket_timeout": SENTINEL_TIMEOUT, **tls}
        never = Retry(NoBackoff(), 0)
        asked = {"ssl": found.is_tls, "retry": never, "protocol": 2, **each, **self.sentinel_login.options}
        manager = Sentinel(found.addresses, sentinel_kwargs=asked)
        for sentinel in manager.sentinels:
            sentinel.connection_pool.connection_kwargs["parser_class"] = Answers
        return _SentinelPool(found.master, manager, ssl=found.is_tls, db=found.database, **options)


def endpoint(connection: Connection, pool: BlockingConnectionPool) -> str:
    """Where that is, for people: without user and password."""
    found = sentinels(connection.url)
    if found is not None:
        return str(found)
    options = pool.connection_kwargs
    where = options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
    return f"{where}/{options.get('db') or 0}"


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Waits for the one connection, where redis-py's own pool by Sentinels raises; ends with its Sentinels."""

    def __init__(self, master: str, manager: Sentinel, **options: Any) -> None:
        SentinelConnectionPool.__init__(self, master, manager, **options)

    async def get_connection(self, *arguments: Any, **options: Any) -> AbstractConnection:
        # A primary that was replaced while it lives answers on for some 10 s, with queues that nobody fills any more:
        # so long a Sentinel waits before it makes a replica of it (sentinel.c, sentinelRefreshInstanceInfo). Where no
        # Sentinel answers, an open connection is as good as it was.
        with suppress(MasterNotFoundError):
            await SentinelConnectionPool.get_master_address(self)  # closes a connection to another one
        connection: AbstractConnection = await BlockingConnectionPool.get_connection(self, *arguments, **options)
        return connection

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()
