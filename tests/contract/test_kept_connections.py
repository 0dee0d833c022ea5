"""Connections that are kept at hand: few, sound, and none of those that others need."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.support.clock import Clock
from tests.support.waiting import DEADLINE

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker.kept_connections import STANDS_FOR, KeptConnections
from crewcall_worker.redis_client import MOST_CONNECTIONS


def own_id(client: redis.Redis) -> Any:
    return str(client.client_id())


@pytest.fixture
def client(redis_server: EmbeddedRedis) -> redis.Redis:
    return redis.Redis.from_url(redis_server.url, max_connections=MOST_CONNECTIONS)


def test_asks_by_one_connection_time_and_again(client: redis.Redis) -> None:
    kept = KeptConnections(client)
    assert len({kept.use(own_id) for _ in range(9)}) == 1


def test_has_as_many_as_are_used_at_once(client: redis.Redis) -> None:
    kept, together = KeptConnections(client), threading.Barrier(3)
    ids: list[Any] = []

    def ask(own: redis.Redis) -> None:
        together.wait(DEADLINE)
        ids.append(own_id(own))

    for _ in range(3):
        threads = [threading.Thread(target=kept.use, args=(ask,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
    assert (len(ids), len(set(ids))) == (9, 3)


def test_looks_anew_at_one_that_was_idle_so_that_nobody_stumbles_over_its_end(redis_server: EmbeddedRedis) -> None:
    client = redis.Redis.from_url(
        redis_server.url, max_connections=MOST_CONNECTIONS, retry=Retry(NoBackoff(), 0), retry_on_error=[]
    )
    clock = Clock()
    kept = KeptConnections(client, clock)
    before = kept.use(own_id)
    client.client_kill_filter(_id=before)
    clock.now += STANDS_FOR
    assert kept.use(own_id) != before
    client.client_kill_filter(_id=kept.use(own_id))
    with pytest.raises(redis.ConnectionError):
        kept.use(own_id)
    assert kept.use(own_id)


def test_goes_on_after_a_failure(client: redis.Redis) -> None:
    kept = KeptConnections(client)
    kept.use(lambda own: own.set("text", "a"))
    with pytest.raises(redis.ResponseError):
        kept.use(lambda own: own.incr("text"))
    assert kept.use(lambda own: own.get("text")) == b"a"


def test_leaves_a_small_pool_to_all(redis_server: EmbeddedRedis) -> None:
    small = redis.Redis.from_url(redis_server.url, max_connections=1)
    kept = KeptConnections(small)
    assert (kept.use(own_id), small.ping()) == (own_id(small), True)


def test_a_fork_has_connections_of_its_own(client: redis.Redis) -> None:
    kept = KeptConnections(client)
    parents = kept.use(own_id)
    reads, writes = os.pipe()
    child = os.fork()
    if not child:  # nothing of pytest's is to run here
        os.write(writes, kept.use(own_id).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writes)
    with os.fdopen(reads) as told:
        childs = told.read()
    assert (kept.use(own_id), childs not in ("", parents)) == (parents, True)
