"""A real Redis for tests: what a test gets to know of it, and how it looks into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_operator.api.pool import Pool, PoolKey, RedisSource
from crewcall_operator.core.policy import BacklogPerReplica, Policy, Queue


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running Redis, empty when the test begins. `client` answers in text."""

    url: str
    client: redis.Redis


@contextmanager
def emptied(server: EmbeddedRedis) -> Iterator[RedisServer]:
    """Lend the server to one test: all data and statistics of an earlier one are gone."""
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        client.flushall()
        client.config_resetstat()
        yield RedisServer(url=server.url, client=client)


def a_pool(url: str, *queues: str, name: str = "pool", namespace: str = "dramatiq") -> Pool:
    """A pool on these queues; nothing else about it matters to who reads it."""
    return Pool(
        key=PoolKey("shop", name),
        uid=name,
        generation=1,
        redis=RedisSource(url, namespace),
        policy=Policy(queues=tuple(Queue(queue) for queue in queues), max_replicas=10, target=BacklogPerReplica(20)),
    )
