"""What stirs in the Redis of pools at rest, as real Dramatiq and the runtime's own keys show it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.redis import RedisServer, a_pool
from tests.support.shop import arrive
from tests.support.waiting import DEADLINE

from crewcall_operator.adapters.redis_stirring import POOLS_IN_A_SCRIPT, RedisStirring
from crewcall_worker import wire
from crewcall_worker.queues.pins import Pins


@pytest.fixture
async def stirring() -> AsyncIterator[RedisStirring]:
    found = RedisStirring(timeout=DEADLINE)
    yield found
    await found.aclose()


async def test_nothing_stirs_in_an_empty_redis(stirring: RedisStirring, redis_server: RedisServer) -> None:
    assert await stirring.stirring([a_pool(redis_server.url, "sms", "email")]) == []


async def test_finds_a_job_in_any_of_a_pools_queues(stirring: RedisStirring, redis_server: RedisServer) -> None:
    pools = [a_pool(redis_server.url, f"a-{number}", f"b-{number}", name=f"pool-{number}") for number in range(250)]
    for queue in ("a-0", "b-99", "b-100", "a-249"):
        arrive(redis_server.url, 1, queue)

    found = await stirring.stirring(pools)

    assert [key.name for key in found] == ["pool-0", "pool-99", "pool-100", "pool-249"]
    assert POOLS_IN_A_SCRIPT == 100


@pytest.mark.parametrize("key", ["dramatiq:sms.msgs", "dramatiq:sms.DQ.msgs"])
async def test_finds_jobs_that_are_unacked_or_delayed(
    stirring: RedisStirring, redis_server: RedisServer, key: str
) -> None:
    redis_server.client.hset(key, "id", "message")

    assert await stirring.stirring([pool := a_pool(redis_server.url, "sms")]) == [pool.key]


async def test_finds_workers_and_orders(stirring: RedisStirring, redis_server: RedisServer) -> None:
    pools = [a_pool(redis_server.url, "sms", name=name) for name in ("one", "two", "three")]
    keys = wire.Keys("dramatiq")
    redis_server.client.hset(keys.workers(wire.pool_name("shop", "one")), "worker", "{}")
    redis_server.client.hset(keys.orders(wire.pool_name("shop", "three")), "pod", "drain")

    assert [key.name for key in await stirring.stirring(pools)] == ["one", "three"]


async def test_finds_pools_that_are_pinned_by_hand(stirring: RedisStirring, redis_server: RedisServer) -> None:
    pools = [a_pool(redis_server.url, "sms", name=name) for name in ("one", "two")]
    Pins(redis_server.client, "dramatiq").pin(wire.pool_name("shop", "two"), 0, by="ada")

    assert [key.name for key in await stirring.stirring(pools)] == ["two"]


async def test_dead_letters_do_not_stir(stirring: RedisStirring, redis_server: RedisServer) -> None:
    redis_server.client.zadd("dramatiq:sms.XQ", {"id": 1})

    assert await stirring.stirring([a_pool(redis_server.url, "sms")]) == []


async def test_asks_anew_when_the_pools_are_others(stirring: RedisStirring, redis_server: RedisServer) -> None:
    one, other = (a_pool(redis_server.url, name, name=name) for name in ("one", "other"))
    arrive(redis_server.url, 1, "other")

    assert await stirring.stirring([one]) == []
    assert await stirring.stirring([other]) == [other.key]
    assert await stirring.stirring([one, other]) == [other.key]


async def test_what_cannot_be_asked_about_is_looked_at(stirring: RedisStirring, redis_server: RedisServer) -> None:
    redis_server.client.set("dramatiq:sms", "no list")
    wrong = a_pool(redis_server.url, "sms")
    away = a_pool("redis://127.0.0.1:1/0", "sms")

    assert await stirring.stirring([wrong]) == [wrong.key]
    assert await stirring.stirring([away]) == [away.key]
