"""What the operator reads of workers and delayed jobs, and what it writes for them, on a real Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from redis import Redis as SyncRedis
from redis.asyncio import Redis
from tests.support.redis import RedisServer, a_pool
from tests.support.waiting import DEADLINE, until

from crewcall_operator.adapters import redis_delayed
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_operator.adapters.redis_connection import Connection
from crewcall_operator.adapters.redis_hints import RedisHints
from crewcall_operator.adapters.redis_orders import RedisOrders
from crewcall_operator.adapters.redis_queues import RedisQueues
from crewcall_operator.api.pool import KeyRef, Pool, PoolKey, RedisSource
from crewcall_operator.core.counters import Counters
from crewcall_operator.core.observation import Observation, Worker, WorkerState
from crewcall_operator.core.pin import Pin
from crewcall_operator.core.policy import QueueLatency
from crewcall_operator.errors import QueueUnavailable
from crewcall_operator.ports import Recovered
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues.drains import Drains
from crewcall_worker.queues.pins import Pins

KEYS = wire.Keys()
POOL = "shop/pool"

#: Seconds by which what is due may be taken for due earlier or later: the producer's clock and Redis' are not one.
A_CLOCKS_ERROR = 1.0


@pytest.fixture
def pool(redis_server: RedisServer) -> Pool:
    return a_pool(redis_server.url, "sms")


@pytest.fixture
async def reader() -> AsyncIterator[RedisQueues]:
    queues = RedisQueues(time.time, timeout=DEADLINE)
    yield queues
    await queues.aclose()


@pytest.fixture
async def orders() -> AsyncIterator[RedisOrders]:
    writer = RedisOrders()
    yield writer
    await writer.aclose()


async def look(reader: RedisQueues, pool: Pool) -> Observation:
    seen = (await reader.read([pool]))[pool.key]
    assert isinstance(seen, Observation), seen
    return seen


def tell(server: RedisServer, record: wire.WorkerRecord) -> None:
    server.client.hset(KEYS.workers(POOL), record.worker, wire.write_worker(record))


def redis_ms(server: RedisServer) -> int:
    seconds, micros = server.client.time()
    return int(seconds) * 1000 + int(micros) // 1000


# Workers and orders


async def test_reads_workers_as_they_tell_of_themselves(
    reader: RedisQueues, redis_server: RedisServer, pool: Pool
) -> None:
    now = redis_ms(redis_server)
    full = wire.WorkerRecord("w1", wire.WorkerState.DRAINING, "pod-1", 1, 8, 3, 2, now - 60_000, ("sms",), now - 2_000)
    tell(redis_server, full)
    tell(redis_server, wire.WorkerRecord("w2", wire.WorkerState.RUNNING, "pod-2", 1, 8, 0, 0, None, ("sms",), now))

    found = {worker.id: worker for worker in (await look(reader, pool)).workers}

    passed = (redis_ms(redis_server) - now) / 1000
    assert 60.0 <= (found["w1"].oldest_age or 0.0) <= 60.0 + passed
    assert 2.0 <= found["w1"].silent_for <= 2.0 + passed
    assert {id_: replace(it, oldest_age=None, silent_for=0.0) for id_, it in found.items()} == {
        "w1": Worker("w1", "pod-1", WorkerState.DRAINING, busy=3, threads=8, prefetched=2),
        "w2": Worker("w2", "pod-2", WorkerState.RUNNING, threads=8),
    }


async def test_takes_what_a_worker_does_not_tell_for_the_worse(
    reader: RedisQueues, redis_server: RedisServer, pool: Pool
) -> None:
    redis_server.client.hset(KEYS.workers(POOL), "w1", '{"v": 1, "future": true}')

    assert (await look(reader, pool)).workers == (Worker("w1", "", silent_for=float("inf")),)


async def test_does_not_know_all_workers_where_one_is_of_a_newer_version_and_tells_of_it(
    reader: RedisQueues, redis_server: RedisServer, pool: Pool
) -> None:
    redis_server.client.hset(KEYS.workers(POOL), "w1", '{"v": 2, "pod": "pod-1"}')
    tell(redis_server, wire.WorkerRecord("w2", pod="pod-2"))

    seen = await look(reader, pool)

    assert ([worker.id for worker in seen.workers], seen.knows_workers, seen.unread) == (
        ["w2"],
        False,
        ("worker w1: its record is of version 2; known is 1. Update the reader.",),
    )


async def test_knows_that_there_are_no_workers_where_nobody_has_the_runtime(reader: RedisQueues, pool: Pool) -> None:
    seen = await look(reader, pool)

    assert (seen.workers, seen.knows_workers, seen.unread) == ((), True, ())


@pytest.mark.parametrize(
    ("keys", "unknown"),
    [
        (["dramatiq:*"], ["workers are not known"]),
        (["dramatiq:*", "crewcall:dramatiq:orders:*"], ["workers are not known"]),
        (["dramatiq:*", "crewcall:dramatiq:workers:*"], ["orders are not known", "the pin is not known"]),
    ],
)
async def test_does_not_know_workers_or_orders_that_it_may_not_read_and_says_what_to_grant(
    reader: RedisQueues, redis_server: RedisServer, keys: list[str], unknown: list[str]
) -> None:
    redis_server.client.acl_setuser(
        "looker", enabled=True, reset=True, passwords=["+secret"], categories=["+@all"], keys=keys
    )

    seen = await look(reader, a_pool(redis_server.url.replace("//", "//looker:secret@"), "sms"))

    assert (len(seen.queues), seen.knows_workers) == (1, False)
    assert [words.partition(": ")[0] for words in seen.unread] == [*unknown, "lanes and pauses are not known"]
    assert all("Grant it: " in words for words in seen.unread)


async def test_tells_of_the_workers_though_it_may_not_read_the_orders(
    reader: RedisQueues, redis_server: RedisServer
) -> None:
    """So that the jobs of those who are dead are given back all the same."""
    tell(redis_server, wire.WorkerRecord("w1", pod="pod-1"))
    redis_server.client.acl_setuser(
        "looker",
        enabled=True,
        reset=True,
        passwords=["+secret"],
        categories=["+@all"],
        keys=["dramatiq:*", "crewcall:dramatiq:workers:*"],
    )

    seen = await look(reader, a_pool(redis_server.url.replace("//", "//looker:secret@"), "sms"))

    assert ([worker.id for worker in seen.workers], seen.orders, seen.knows_workers) == (["w1"], frozenset(), False)


async def test_tells_which_workers_a_hand_has_asked_to_drain(
    reader: RedisQueues, redis_server: RedisServer, pool: Pool
) -> None:
    for id_ in ("w1", "w2"):
        tell(redis_server, wire.WorkerRecord(id_, pod=f"pod-of-{id_}"))
    Drains(redis_server.client, "dramatiq").ask(POOL, "w2", by="ada")

    seen = await look(reader, pool)

    assert {worker.id: worker.is_asked for worker in seen.workers} == {"w1": False, "w2": True}
    assert (seen.orders, seen.unread) == (frozenset(), ())


async def test_reads_each_pools_pin_by_hand_with_a_name_that_is_fit_to_be_shown(
    reader: RedisQueues, redis_server: RedisServer, pool: Pool
) -> None:
    other, free = (a_pool(redis_server.url, "sms", name=name) for name in ("other", "free"))
    pins = Pins(redis_server.client, "dramatiq")
    pins.pin(POOL, 3, by="ada")
    pins.pin("shop/other", 0, by="a\x1b[2J\n" + 200 * "b")

    seen = await reader.read([pool, other, free])

    found = {key.name: (it.pin, it.knows_pin) for key, it in seen.items() if isinstance(it, Observation)}
    assert found == {
        "pool": (Pin(3, "ada"), True),
        "other": (Pin(0, "a[2J" + 96 * "b"), True),
        "free": (None, True),
    }


@pytest.mark.parametrize("text", ["three", '{"v":2,"replicas":3}', '{"v":1,"replicas":-1}'])
async def test_a_pin_that_it_does_not_understand_is_not_taken_for_none_and_costs_nothing_else(
    reader: RedisQueues, redis_server: RedisServer, pool: Pool, text: str
) -> None:
    redis_server.client.hset(KEYS.pins, POOL, text)

    seen = await look(reader, pool)

    assert (seen.pin, seen.knows_pin, seen.knows_workers) == (None, False, True)
    (words,) = seen.unread
    assert words.startswith(f"the pin is not known: the pin of pool {POOL}")


async def test_sees_nothing_of_the_workers_of_another_pool(
    reader: RedisQueues, redis_server: RedisServer, pool: Pool
) -> None:
    tell(redis_server, wire.WorkerRecord("w1", pod="pod-1"))
    other = a_pool(redis_server.url, "sms", name="other")

    seen = await reader.read([other, pool])

    crews = {key.name: it.workers for key, it in seen.items() if isinstance(it, Observation)}
    assert {name: len(workers) for name, workers in crews.items()} == {"other": 0, "pool": 1}


async def test_gives_and_withdraws_orders_and_tells_of_it(
    orders: RedisOrders, reader: RedisQueues, redis_server: RedisServer, pool: Pool
) -> None:
    async with (
        Redis.from_url(redis_server.url, decode_responses=True) as client,
        client.pubsub(ignore_subscribe_messages=True) as channel,
    ):
        await channel.subscribe(KEYS.orders_changed)
        await channel.get_message(timeout=DEADLINE)
        await orders.give(pool, ["a", "b"], [])
        given = (await look(reader, pool)).orders
        await orders.give(pool, ["c"], ["a", "never"])
        told = [await channel.get_message(timeout=DEADLINE) for _ in range(5)]

    assert [sorted(given), sorted((await look(reader, pool)).orders)] == [["a", "b"], ["b", "c"]]
    assert [message and message["data"] for message in told] == ["a", "b", "c", "a", "never"]


async def test_recovers_only_workers_that_are_silent(
    orders: RedisOrders, redis_server: RedisServer, pool: Pool
) -> None:
    client, now = redis_server.client, redis_ms(redis_server)
    for worker, at_ms in (("dead", now - 2_500), ("alive", now)):
        tell(redis_server, wire.WorkerRecord(worker, pod=worker, queues=("sms",), at_ms=at_ms))
        client.hset(KEYS.messages("sms"), worker, '{"options":{}}')
        client.sadd(KEYS.acks(worker, "sms"), worker)

    recovered = await orders.recover(pool, ["dead", "alive"])

    assert recovered == [Recovered("dead", returned=1)]
    assert client.lrange(KEYS.ready("sms"), 0, -1) == ["dead"]
    assert client.hkeys(KEYS.workers(POOL)) == ["alive"]


async def test_nobody_is_lapsed_while_nobody_has_looked_for_long(
    orders: RedisOrders, redis_server: RedisServer, pool: Pool
) -> None:
    tell(redis_server, wire.WorkerRecord("silent", queues=("sms",), at_ms=redis_ms(redis_server) - 60_000))

    assert await orders.recover_lapsed(pool) == []
    # As if the last look, three seconds ago, had been one of many.
    redis_server.client.hset(
        f"{KEYS.prefix}sweep:{POOL}", mapping={"at_ms": redis_ms(redis_server) - 3_500, "since_ms": 0}
    )
    assert await orders.recover_lapsed(pool) == [Recovered("silent", returned=0)]


async def test_goes_by_the_silence_that_the_pools_own_template_sets(
    orders: RedisOrders, redis_server: RedisServer, pool: Pool
) -> None:
    variable = {"name": wire.ENV_LAPSED_AFTER, "value": "1.5"}
    hasty = replace(pool, template={"spec": {"containers": [{"name": "worker", "env": [variable]}]}})
    now = redis_ms(redis_server)
    for worker, at_ms in (("silent", now - 3_000), ("alive", now)):
        tell(redis_server, wire.WorkerRecord(worker, queues=("sms",), at_ms=at_ms))
    redis_server.client.hset(f"{KEYS.prefix}sweep:{POOL}", mapping={"at_ms": now - 3_500, "since_ms": 0})

    assert await orders.recover_lapsed(hasty) == [Recovered("silent", returned=0)]


async def test_says_what_leading_workers_takes_where_it_may_not(orders: RedisOrders, redis_server: RedisServer) -> None:
    redis_server.client.acl_setuser(
        "looker", enabled=True, reset=True, passwords=["+secret"], categories=["+@read"], keys=["*"]
    )
    pool = a_pool(redis_server.url.replace("//", "//looker:secret@"), "sms")

    with pytest.raises(QueueUnavailable, match=r"cannot be written to: .* Grant it: \+eval .*&crewcall:<namespace>:\*"):
        await orders.give(pool, ["a"], [])


async def test_says_that_a_redis_is_a_replica_where_it_takes_no_writes(
    orders: RedisOrders, reader: RedisQueues
) -> None:
    with EmbeddedRedis() as server, SyncRedis(port=server.port) as client:
        pool = a_pool(server.url, "sms")
        client.replicaof("127.0.0.1", "1")  # of nobody: it goes on with what it has

        with pytest.raises(QueueUnavailable, match=r"cannot be written to: it is a replica .* Name the primary"):
            await orders.give(pool, ["a"], [])

        assert (await look(reader, pool)).knows_workers


# Delayed jobs


async def test_knows_when_jobs_are_due_whoever_sent_them(
    reader: RedisQueues, redis_server: RedisServer, pool: Pool
) -> None:
    for broker, delays in ((CrewcallBroker(url=redis_server.url), (9, 0)), (RedisBroker(url=redis_server.url), (5, 0))):
        for seconds in delays:
            broker.enqueue(Message("sms", "send", (), {}, {}), delay=max(1, seconds * 1000))
        broker.close()
    await asyncio.sleep(0.01)

    (queue,) = (await look(reader, pool)).queues

    assert (queue.delayed, queue.due, queue.next_due_in) == (4, 2, 0.0)


@pytest.mark.parametrize("broker", [CrewcallBroker, RedisBroker])
async def test_a_job_that_is_not_due_yet_tells_when_it_will_be(
    broker: type[RedisBroker], reader: RedisQueues, redis_server: RedisServer, pool: Pool
) -> None:
    began = time.monotonic()
    sender = broker(url=redis_server.url)
    for seconds in (90, 60, 120):
        sender.enqueue(Message("sms", "send", (), {}, {}), delay=seconds * 1000)
    sender.close()

    (queue,) = (await look(reader, pool)).queues

    assert (queue.due, queue.outstanding) == (0, 0)
    assert queue.next_due_in is not None
    assert 60.0 - (time.monotonic() - began) - A_CLOCKS_ERROR < queue.next_due_in < 60.0 + A_CLOCKS_ERROR


async def test_goes_through_many_jobs_of_plain_producers_in_many_looks(
    reader: RedisQueues, redis_server: RedisServer, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_delayed, "SCANNED", 20)
    began = time.monotonic()
    sender = RedisBroker(url=redis_server.url)
    for number in range(300):
        sender.enqueue(Message("sms", "send", (), {}, {}), delay=30_000 if number == 150 else 600_000)
    sender.close()

    found = [(await look(reader, pool)).queues[0].next_due_in or 0.0 for _ in range(40)]

    assert found[0] > 0
    assert found == sorted(found, key=lambda seconds: seconds > 31, reverse=True), "the next one, once it was found"
    assert 30.0 - (time.monotonic() - began) - A_CLOCKS_ERROR < found[-1] < 30.0 + A_CLOCKS_ERROR


@dataclass(frozen=True, slots=True)
class OneRedis:
    """Sources of one Redis, wherever a pool has its URL from."""

    url: str

    async def connection(self, _source: RedisSource) -> Connection:
        return Connection(self.url)

    def doubt(self, _source: RedisSource) -> None:
        """It does not change."""


@pytest.mark.parametrize("url_from", [None, KeyRef("Secret", "shop", "redis", "url")], ids=["a URL", "a Secret"])
async def test_scans_anew_for_a_pool_that_it_had_forgotten_but_not_where_another_reads_the_queue(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, url_from: KeyRef | None
) -> None:
    monkeypatch.setattr(redis_delayed, "SCANNED", 1)
    source = RedisSource(redis_server.url if url_from is None else "", url_from=url_from)
    pool, other = (replace(a_pool(redis_server.url, "sms", name=name), redis=source) for name in ("pool", "other"))
    reader = RedisQueues(time.time, timeout=DEADLINE, sources=OneRedis(redis_server.url))
    sender = RedisBroker(url=redis_server.url)
    for number in range(600):  # more than Redis gives away in one go
        sender.enqueue(Message("sms", "send", (), {}, {}), delay=1 if number % 2 else 600_000)
    sender.close()
    await asyncio.sleep(0.01)

    async def due(by: Pool) -> int:
        return (await look(reader, by)).queues[0].due

    await due(other)
    found = [await due(pool) for _ in range(5)]
    reader.forget(other)
    found.append(await due(pool))
    reader.forget(pool)
    anew = await due(pool)
    await reader.aclose()

    assert found == sorted(found)
    assert anew < found[-1]


# Hints


async def test_hears_hints_for_its_pools_and_goes_on_after_its_connection_was_cut(redis_server: RedisServer) -> None:
    pools = [a_pool(redis_server.url, "sms", name="one"), a_pool(redis_server.url, "sms", "email", name="two")]
    heard: list[tuple[str, list[str]]] = []

    def hear(url: str, keys: object) -> None:
        assert isinstance(keys, list)
        heard.append((url, [key.name for key in keys if isinstance(key, PoolKey)]))

    def publish(queue: str) -> int:
        return int(redis_server.client.publish(KEYS.hints, queue))

    def listeners() -> set[str]:
        connections = redis_server.client.client_list(_type="pubsub")
        return {one["id"] for one in connections if one["sub"] != "0"}

    listening = asyncio.create_task(RedisHints(lambda: pools, hear).run())
    await until(lambda: publish("nobody's"), "the subscription")
    publish("sms")
    publish("email.DQ")
    await until(lambda: len(heard) == 2, "both hints")
    assert heard == [(redis_server.url, ["one", "two"]), (redis_server.url, ["two"])]

    before = listeners()
    redis_server.client.client_kill_filter(_type="pubsub")
    await until(lambda: listeners() - before, "another connection that has subscribed")
    publish("email")
    await until(lambda: len(heard) == 3, "a hint after it")

    pools.clear()
    await until(lambda: not publish("sms"), "nobody to listen where no pool is")
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_stops_listening_at_once_however_far_its_connection_has_come(redis_server: RedisServer) -> None:
    pools = [a_pool(redis_server.url, "sms")]

    for millisecond in range(20):
        listening = asyncio.create_task(RedisHints(lambda: pools, lambda _url, _keys: None).run())
        await asyncio.sleep(millisecond / 2000)
        listening.cancel()
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(listening, return_exceptions=True)


# What is counted


@pytest.fixture
def promised(pool: Pool) -> Pool:
    return replace(pool, policy=replace(pool.policy, target=QueueLatency(30.0)))


async def test_reads_what_workers_and_producers_count_of_pools_with_a_promise_only(
    reader: RedisQueues, redis_server: RedisServer, pool: Pool, promised: Pool
) -> None:
    counts = {"enqueued": 90, "started": 81, "done": 70, "failed": 6, "retried": 4, "busy_ms": 12_345, "wait_le_10": 3}
    for name, count in counts.items():
        redis_server.client.hset(KEYS.stats("sms"), name, count)
    other = replace(pool, key=PoolKey("shop", "other"))

    seen = await reader.read([other, promised])

    found = {key.name: it.queues[0].counters for key, it in seen.items() if isinstance(it, Observation)}
    assert found == {"other": None, "pool": Counters(arrived=90, ended=80, busy=12.345)}


async def test_a_queue_that_nobody_counts_for_has_counted_nothing(reader: RedisQueues, promised: Pool) -> None:
    (queue,) = (await look(reader, promised)).queues

    assert (queue.counters, queue.due_soon) == (Counters(0, 0, 0.0), 0)


async def test_counts_the_delayed_jobs_that_are_due_within_the_horizon_of_the_pool(
    reader: RedisQueues, redis_server: RedisServer, promised: Pool
) -> None:
    broker = CrewcallBroker(url=redis_server.url)
    for delay in (5_000, 15_000, 25_000, 100_000):
        broker.enqueue(Message("sms", "send", (), {}, {}), delay=delay)
    broker.close()

    soon = []
    for horizon in (0.0, 20.0, 30.0):
        seen = (await reader.read([promised], {promised.key: horizon}))[promised.key]
        assert isinstance(seen, Observation)
        soon.append((seen.queues[0].due, seen.queues[0].due_soon))

    assert soon == [(0, 0), (0, 2), (0, 3)]


async def test_counters_that_are_no_numbers_are_not_known_and_the_message_names_the_key(
    reader: RedisQueues, redis_server: RedisServer, promised: Pool
) -> None:
    redis_server.client.hset(KEYS.stats("sms"), "done", "many")

    seen = await look(reader, promised)

    assert seen.queues[0].counters is None
    assert seen.unread == (
        "what workers count is not known: stats:sms holds something else than numbers. Delete that key",
    )


async def test_asks_for_the_counters_of_hundreds_of_queues(reader: RedisQueues, redis_server: RedisServer) -> None:
    names = [f"q{number}" for number in range(230)]
    for number, name in enumerate(names):
        redis_server.client.hset(KEYS.stats(name), "enqueued", number)
    many = a_pool(redis_server.url, *names)
    many = replace(many, policy=replace(many.policy, target=QueueLatency(30.0)))

    counted = [queue.counters for queue in (await look(reader, many)).queues]

    assert counted == [Counters(number, 0, 0.0) for number in range(230)]


async def test_counters_that_may_not_be_read_are_not_zero_and_the_message_says_what_to_grant(
    reader: RedisQueues, redis_server: RedisServer, promised: Pool
) -> None:
    redis_server.client.acl_setuser(
        "narrow", enabled=True, reset=True, passwords=["+secret"], categories=["+@all"], keys=["dramatiq:*"]
    )
    narrow = replace(promised, redis=replace(promised.redis, url=redis_server.url.replace("//", "//narrow:secret@")))

    seen = await look(reader, narrow)

    assert [queue.counters for queue in seen.queues] == [None]
    assert any(why.startswith("what workers count is not known: ") and "Grant it: " in why for why in seen.unread)
