"""What the operator writes of pools into their Redis, as whoever reads it there finds it."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from tests.contract.test_redis_queues import as_user, calls, grant
from tests.support.clock import Clock
from tests.support.redis import RedisServer, a_pool
from tests.support.waiting import DEADLINE
from tests.unit.test_status import decided, report

from crewcall_operator.adapters.redis_history import (
    MOST_AT_ONCE,
    MOST_WAITING,
    POOLS_IN_A_SCRIPT,
    RETRY,
    RedisHistory,
)
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.decision import Reason
from crewcall_operator.core.observation import Fleet
from crewcall_worker import wire
from crewcall_worker.wire import HistoryEntry, PoolRecord

KEYS = wire.Keys()
NAME = "shop/pool"


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
async def history(clock: Clock) -> AsyncIterator[RedisHistory]:
    told = RedisHistory(clock, timeout=DEADLINE)
    yield told
    await told.aclose()


def tell(history: RedisHistory, pool: Pool, replicas: int, *, at: float = 100.0, **fields: Any) -> None:
    """A tick decided on that number of replicas, where four are."""
    reason = Reason.STEADY_LOAD if replicas == 4 else Reason.BACKLOG_DRAIN
    history.report(report(pool=pool, at=at, decision=decided(replicas, reason), **fields))


def record(server: RedisServer, name: str = NAME) -> PoolRecord | None:
    text = server.client.get(KEYS.pool(name))
    return None if text is None else wire.read_pool(name, str(text))


def entries(server: RedisServer, name: str = NAME) -> list[HistoryEntry]:
    found = server.client.xrange(KEYS.history(name)) or []
    return [wire.read_history(str(id_), told or {}) for id_, told in found]


def now_ms(server: RedisServer) -> int:
    seconds, microseconds = server.client.time()
    return int(seconds * 1000 + microseconds // 1000)


async def test_tells_how_a_pool_is_and_by_redis_clock_since_when(
    history: RedisHistory, redis_server: RedisServer
) -> None:
    tell(history, a_pool(redis_server.url, "sms"), 7)

    await history.flush()

    found = record(redis_server)
    assert found is not None
    assert (found.desired, found.current, found.reason, found.queues) == (7, 4, "BacklogDrain", ("sms",))
    assert found.at_ms == pytest.approx(now_ms(redis_server), abs=1_000)
    assert redis_server.client.zrange(KEYS.pools, 0, -1, withscores=True) == [(NAME, found.at_ms)]
    (entry,) = entries(redis_server)
    assert (entry.ready, entry.desired, entry.current, entry.reason) == (120, 7, 4, "BacklogDrain")
    assert entry.at_ms == pytest.approx(found.at_ms, abs=1_000)


async def test_whatever_is_written_expires(history: RedisHistory, redis_server: RedisServer) -> None:
    tell(history, a_pool(redis_server.url, "sms"), 7)

    await history.flush()

    for key in (KEYS.pool(NAME), KEYS.history(NAME)):
        assert redis_server.client.pttl(key) == pytest.approx(wire.POOL_KEPT_MS, abs=10_000)


async def test_a_pool_that_nobody_has_told_of_for_a_day_is_listed_no_more(
    history: RedisHistory, redis_server: RedisServer
) -> None:
    old = now_ms(redis_server) - wire.POOL_KEPT_MS - 1
    redis_server.client.zadd(KEYS.pools, {"shop/old": old, "shop/younger": old + 60_000})
    tell(history, a_pool(redis_server.url, "sms"), 4)

    await history.flush()

    assert redis_server.client.zrange(KEYS.pools, 0, -1) == ["shop/younger", NAME]


async def test_a_pool_that_stays_as_it_is_is_not_written_of(history: RedisHistory, redis_server: RedisServer) -> None:
    pool = a_pool(redis_server.url, "sms")
    tell(history, pool, 4)
    await history.flush()
    before = calls(redis_server)["eval"]

    for second in range(1, 60):
        tell(history, pool, 4, at=100.0 + second)
        await history.flush()

    assert calls(redis_server)["eval"] == before
    assert len(entries(redis_server)) == 1


async def test_many_pools_are_told_of_in_few_calls(history: RedisHistory, redis_server: RedisServer) -> None:
    for number in range(2 * POOLS_IN_A_SCRIPT):
        tell(history, a_pool(redis_server.url, f"q{number}", name=f"pool-{number}"), 7)

    await history.flush()

    assert calls(redis_server)["eval"] == 2
    assert redis_server.client.zcard(KEYS.pools) == 2 * POOLS_IN_A_SCRIPT
    last = record(redis_server, f"shop/pool-{2 * POOLS_IN_A_SCRIPT - 1}")
    assert last is not None
    assert last.desired == 7


async def test_decisions_that_wait_for_one_write_are_all_told_in_their_order_the_last_ones_first_of_all(
    history: RedisHistory, redis_server: RedisServer
) -> None:
    pool = a_pool(redis_server.url, "sms")
    for number in range(MOST_WAITING + 2):
        tell(history, pool, 10 + number, at=100.0 + number)

    await history.flush()

    assert [entry.desired for entry in entries(redis_server)] == list(range(12, 12 + MOST_WAITING))


async def test_a_history_is_bounded(history: RedisHistory, redis_server: RedisServer) -> None:
    fields: dict[Any, Any] = {**wire.write_history(HistoryEntry(0, ready=1))}
    with redis_server.client.pipeline(transaction=False) as pipeline:
        for _ in range(wire.MOST_HISTORY + 500):
            pipeline.xadd(KEYS.history(NAME), fields)
        pipeline.execute()
    tell(history, a_pool(redis_server.url, "sms"), 7)

    await history.flush()

    assert redis_server.client.xlen(KEYS.history(NAME)) <= wire.MOST_HISTORY + 100  # whole nodes of it go


async def test_a_pool_that_is_gone_is_told_of_no_more_and_keeps_its_history(
    history: RedisHistory, redis_server: RedisServer
) -> None:
    pool = a_pool(redis_server.url, "sms")
    tell(history, pool, 7)
    await history.flush()

    tell(history, pool, 8, at=101.0)
    history.forget(pool.key)
    await history.flush()

    assert (record(redis_server), redis_server.client.exists(KEYS.pools)) == (None, 0)
    assert [entry.desired for entry in entries(redis_server)] == [7, 8]


async def test_a_pool_that_comes_back_at_once_is_told_of(history: RedisHistory, redis_server: RedisServer) -> None:
    pool = a_pool(redis_server.url, "sms")
    tell(history, pool, 4)
    history.forget(pool.key)
    tell(history, replace(pool, generation=2), 4)

    await history.flush()

    assert record(redis_server) is not None


async def test_a_pool_that_moves_to_another_namespace_leaves_no_record_behind(
    history: RedisHistory, redis_server: RedisServer
) -> None:
    tell(history, a_pool(redis_server.url, "sms"), 4)
    await history.flush()

    tell(history, a_pool(redis_server.url, "sms", namespace="other"), 4)
    await history.flush()

    assert record(redis_server) is None
    assert redis_server.client.exists(wire.Keys("other").pool(NAME)) == 1


async def test_connections_that_nobody_needs_are_closed_while_others_are_written_to(
    history: RedisHistory, redis_server: RedisServer
) -> None:
    places = [a_pool(redis_server.url.replace("/0", f"/{number}"), "sms") for number in range(6)]

    for second in range(3):
        for number, pool in enumerate(places):
            named = replace(pool, key=PoolKey("shop", f"pool-{number}"))
            tell(history, named, 7 + second, at=100.0 + second)
        await history.flush()
        used = history._links._used  # all of them long ago: each is found idle by all the others
        used.update(dict.fromkeys(used, -math.inf))

    for pool in places:
        with redis.Redis.from_url(pool.redis.url) as client:
            assert client.xlen(KEYS.history(f"shop/pool-{places.index(pool)}")) == 3


async def test_of_many_pools_some_are_told_of_at_a_time_and_none_is_left_out(
    history: RedisHistory, redis_server: RedisServer
) -> None:
    for number in range(MOST_AT_ONCE + 1):
        tell(history, a_pool(redis_server.url, "sms", name=f"pool-{number}"), 7)

    await history.flush()
    first = redis_server.client.zcard(KEYS.pools)
    await history.flush()

    assert (first, redis_server.client.zcard(KEYS.pools)) == (MOST_AT_ONCE, MOST_AT_ONCE + 1)


async def test_a_redis_that_does_not_take_it_is_left_alone_for_a_while_and_that_is_said_once(
    history: RedisHistory, redis_server: RedisServer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    grant(redis_server, "+eval_ro +hget ~dramatiq:*")
    pool = a_pool(as_user(redis_server), "sms")
    for second in range(2 * int(RETRY) + 10):
        clock.now = 100.0 + second
        tell(history, pool, 4, at=clock.now, fleet=Fleet(4, second))
        await history.flush()

    assert refused(redis_server) == 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Pools cannot be shown on the board for now, and are scaled all the same" in caplog.text

    grant(redis_server, "+@all ~*")
    clock.now += RETRY
    tell(history, pool, 4, at=clock.now)
    await history.flush()

    assert record(redis_server) is not None
    log = [(record.name, record.levelname) for record in caplog.records]
    assert log == [("crewcall", "WARNING"), ("crewcall", "INFO")]


def refused(server: RedisServer) -> int:
    """How many calls the server refused for want of rights."""
    stats = server.client.info("commandstats")
    return sum(told.get("rejected_calls", 0) for name, told in stats.items() if name == "cmdstat_eval")
