"""A real Redis for tests: what a test gets to know of it, and how it looks into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running Redis, empty when the test begins. `client` answers in text."""

    url: str
    client: redis.Redis


@contextmanager
def emptied(server: EmbeddedRedis) -> Iterator[RedisServer]:
    """Lend the server to one test: all data, statistics and users of an earlier one are gone."""
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        client.flushall()
        client.config_resetstat()
        yield RedisServer(url=server.url, client=client)
