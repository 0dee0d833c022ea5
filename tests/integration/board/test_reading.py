"""What the board reads, of a real Redis; and that it never costs more for a long queue than for an empty one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import redis
from dramatiq.message import Message
from tests.support import board_scene
from tests.support.board_scene import KEYS, MINUTE, POOL
from tests.support.redis import RedisServer

from crewcall_worker import wire
from crewcall_worker.board.reading.dead_letters import read_dead_letters
from crewcall_worker.board.reading.health import read_health
from crewcall_worker.board.reading.jobs import Listed, id_of, read_job, read_jobs
from crewcall_worker.board.reading.overview import read_overview
from crewcall_worker.board.reading.pools import read_history, read_pool, read_pools
from crewcall_worker.board.reading.queues import is_known, read_queue, read_queues, read_queues_page
from crewcall_worker.board.reading.search import search
from crewcall_worker.board.reading.source import Source
from crewcall_worker.board.reading.workers import read_workers
from crewcall_worker.board.redaction import BLOT, Redaction
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.wire import text


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
def source(client: redis.Redis) -> Source:
    return Source(client)


@pytest.fixture
def broker(redis_server: RedisServer) -> Iterator[CrewcallBroker]:
    broker = CrewcallBroker(url=redis_server.url, middleware=[])
    yield broker
    broker.close()


def test_a_queue_that_nobody_has_seen_is_empty(source: Source) -> None:
    look = read_queue(source, "sms")

    assert (look.ready, look.in_flight, look.delayed, look.dead, look.oldest_age_ms, look.pause) == (
        0, 0, 0, 0, None, None,
    )  # fmt: skip


def test_a_queue_has_its_jobs_counted_by_state_and_its_oldest_ones_age(
    source: Source, client: redis.Redis, broker: CrewcallBroker
) -> None:
    board_scene.enqueue(broker, "sms", "sms.send", 3)
    board_scene.enqueue(broker, "sms", "sms.send", 2, delay=60_000)
    broker.enqueue(Message("sms", "plain", (1,), {}, {}))
    board_scene.run(client, "sms", "sms.send", 1, "w1", for_ms=5_000)
    board_scene.bury(client, "sms", "sms.send", 1, error="KeyError: 'x'", death="rejected", ago_ms=1_000)
    board_scene.complete(client, "sms", "sms.send", 50, ago_ms=1_000)
    now = board_scene.now_ms(client)
    client.zadd(KEYS.waiting("sms"), {"sms.send-acme-0": now - 42_000})

    look = read_queue(source, "sms")

    assert (look.ready, look.in_flight, look.running, look.delayed, look.completed, look.dead) == (4, 1, 1, 2, 1, 1)
    assert look.oldest_age_ms is not None
    assert 42_000 <= look.oldest_age_ms < 60_000
    assert look.counted.enqueued == 4


def test_the_head_of_the_queue_may_be_the_oldest(source: Source, client: redis.Redis, broker: CrewcallBroker) -> None:
    broker.declare_queue("sms")
    broker.enqueue(Message("sms", "plain", (1,), {}, {}))
    now = board_scene.now_ms(client)
    (head,) = client.lrange(KEYS.ready("sms"), 0, -1)
    id_ = text(head)
    old: Message[Any] = Message("sms", "plain", (1,), {}, {"ready_at": now - 90_000, "redis_message_id": id_})
    client.hset(KEYS.messages("sms"), id_, old.encode())

    age = read_queue(source, "sms").oldest_age_ms

    assert age is not None
    assert 90_000 <= age < 120_000


def test_queues_come_page_by_page(source: Source, client: redis.Redis) -> None:
    client.sadd(KEYS.queues, *(f"q{number:03}" for number in range(5)))

    first = read_queues_page(source, most=3)
    rest = read_queues_page(source, after=first.after or "", most=3)

    assert [look.queue for look in first.queues + rest.queues] == [f"q{number:03}" for number in range(5)]
    assert (first.after, rest.after, first.total) == ("q002", None, 5)


def test_failed_jobs_are_delayed_ones_that_were_tried_before(source: Source, broker: CrewcallBroker) -> None:
    board_scene.enqueue(broker, "sms", "sms.send", 2, delay=60_000)
    broker.enqueue(board_scene.a_message("sms", "sms.send", 9, retries=2, error="TimeoutError: x"), delay=60_000)

    failed = read_jobs(source, "sms", Listed.FAILED)
    delayed = read_jobs(source, "sms", Listed.DELAYED)

    assert [(job.id, job.attempt, job.error) for job in failed.jobs] == [("sms.send-acme-9", 3, "TimeoutError: x")]
    assert len(delayed.jobs) == 3


@pytest.mark.parametrize("listed", Listed)
@pytest.mark.parametrize("cursor", ["x", "1 ", "/", "99999/1", "nan id", "inf id", "1/x", "1/1 ", "-1/3", "0/١"])
def test_a_cursor_that_nobody_told_is_refused_in_words(source: Source, listed: Listed, cursor: str) -> None:
    with pytest.raises(ValueError, match="expected one that a page of"):
        read_jobs(source, "sms", listed, cursor=cursor)


@pytest.mark.parametrize("listed", [Listed.READY, Listed.DELAYED, Listed.COMPLETED, Listed.DEAD])
def test_pages_go_on_where_the_last_one_ended(
    source: Source, client: redis.Redis, broker: CrewcallBroker, listed: Listed
) -> None:
    board_scene.enqueue(broker, "sms", "sms.send", 7)
    board_scene.enqueue(broker, "sms", "sms.other", 7, delay=60_000)
    for number in range(7):
        board_scene.complete(client, "sms", "sms.done", number, ago_ms=number)
        board_scene.bury(client, "sms", "sms.dead", number, error="x", death="rejected", ago_ms=number)

    ids, cursor = [], None
    while True:
        page = read_jobs(source, "sms", listed, cursor=cursor, limit=3)
        ids += [job.id for job in page.jobs]
        cursor = page.cursor
        if cursor is None:
            break

    assert len(ids) == len(set(ids)) == 7


def test_a_dead_letter_is_found_by_what_its_page_calls_it(source: Source, client: redis.Redis) -> None:
    id_ = board_scene.bury(client, "sms", "sms.send", 1, error="KeyError: 'x'", death="rejected", ago_ms=0)
    (listed,) = read_jobs(source, "sms", Listed.DEAD).jobs
    assert listed.traceback is None

    detail = read_job(source, id_of(listed), "sms")

    assert detail is not None
    assert (detail.job.id, detail.job.death, detail.job.attempt) == (id_, "rejected", 4)
    assert detail.job.traceback is not None
    assert detail.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_plain_dead_letter_is_found_by_its_id_in_redis(source: Source, client: redis.Redis) -> None:
    message: Message[Any] = Message("sms", "plain", (1,), {}, {"redis_message_id": "r1"}, message_id="m1")
    client.hset(KEYS.messages("sms.XQ"), "r1", message.encode())
    client.zadd(KEYS.dead("sms"), {"r1": board_scene.now_ms(client)})
    (listed,) = read_jobs(source, "sms", Listed.DEAD).jobs

    detail = read_job(source, id_of(listed), "sms")

    assert id_of(listed) == "r1"
    assert detail is not None
    assert detail.job.payload == {"args": [1], "kwargs": {}}


def test_what_is_hidden_is_found_nowhere(client: redis.Redis, broker: CrewcallBroker) -> None:
    board_scene.enqueue(broker, "sms", "sms.send", 1)
    board_scene.bury(client, "sms", "sms.send", 1, error="ValueError: +49 30 1234501", death="rejected", ago_ms=0)
    source = Source(client, hide=Redaction(["to"]))

    (ready,) = read_jobs(source, "sms", Listed.READY).jobs
    (dead,) = read_dead_letters(source).letters

    assert ready.payload["to"] == BLOT
    assert (dead.payload["to"], dead.error) == (BLOT, f"ValueError: {BLOT}")
    assert read_jobs(source, "sms", Listed.DEAD, error="1234501").jobs == ()
    assert len(read_jobs(source, "sms", Listed.DEAD, error="ValueError").jobs) == 1


def test_an_organisation_that_is_hidden_is_found_by_nobody(client: redis.Redis, broker: CrewcallBroker) -> None:
    board_scene.enqueue(broker, "sms", "sms.send", 1)
    source = Source(client, hide=Redaction(["organization_id"]))

    (ready,) = read_jobs(source, "sms", Listed.READY).jobs

    assert (ready.organization_id, ready.payload["organization_id"]) == (BLOT, BLOT)
    assert read_jobs(source, "sms", Listed.READY, organization_id="acme").jobs == ()


def test_a_job_is_ready_however_far_behind_in_the_list_and_fetched_once_a_worker_has_it(
    source: Source, client: redis.Redis
) -> None:
    for number in range(1_500):
        message: Message[Any] = Message("sms", "plain", (), {}, {}, message_id=f"m{number}")
        client.hset(KEYS.messages("sms"), f"r{number}", message.encode())
    client.rpush(KEYS.ready("sms"), *(f"r{number}" for number in range(1, 1_500)))
    client.zadd(KEYS.heartbeats, {"w1": board_scene.now_ms(client)})
    client.sadd(KEYS.acks("w1", "sms"), "r0")

    found = [read_job(source, id_, "sms") for id_ in ("r0", "r1", "r1499")]

    assert [it and it.job.state for it in found] == ["fetched", "ready", "ready"]


def test_queues_of_plain_dramatiq_are_those_of_their_pools(source: Source, client: redis.Redis) -> None:
    board_scene.decide(client, wire.PoolRecord("shop/old", ("plain", "empty")))
    message: Message[Any] = Message("plain", "plain", (), {}, {}, message_id="m1")
    client.hset(KEYS.messages("plain"), "r1", message.encode())
    client.rpush(KEYS.ready("plain"), "r1")
    client.rpush(KEYS.ready("of no pool"), "r2")

    found = search(source, "r1").job

    assert [look.queue for look in read_overview(source).queues] == ["empty", "plain"]
    assert [is_known(source, name) for name in ("plain", "empty", "of no pool", "none")] == [True, True, True, False]
    assert found is not None
    assert found.job.queue == "plain"


def test_dead_letters_of_all_queues_come_the_last_first(source: Source, client: redis.Redis) -> None:
    for number in range(5):
        for queue in ("sms", "email"):
            board_scene.bury(
                client, queue, "send", number, error="x", death="rejected", ago_ms=number * 1_000 + (queue == "sms")
            )

    first = read_dead_letters(source, most=4)
    rest = read_dead_letters(source, before_ms=first.before_ms)

    assert first.queues == (("email", 5), ("sms", 5))
    died = [job.at_ms or 0 for job in first.letters + rest.letters]
    assert died == sorted(died, reverse=True)
    assert len({job.message_id + job.queue for job in first.letters + rest.letters}) == 10
    assert rest.before_ms is None


def test_dead_letters_that_died_together_are_on_one_page(source: Source, client: redis.Redis) -> None:
    at = board_scene.now_ms(client)
    for queue in ("a", "b", "c"):
        board_scene.bury(client, queue, "send", 1, error="x", death="rejected", ago_ms=0)
        client.zadd(KEYS.dead(queue), {f"dead-{queue}-1.3": at})

    page = read_dead_letters(source, most=1)

    assert (len(page.letters), page.before_ms) == (3, None)


def test_a_pool_is_as_its_operator_told(source: Source, client: redis.Redis) -> None:
    record = wire.PoolRecord(
        "shop/n", ("sms",), "Auto", 0, 5, "20 each", 3, 2, 2, 0, "BacklogDrain", "9 ready", at_ms=5
    )
    board_scene.decide(client, record)
    board_scene.decide(client, replace(record, pool="shop/other"))
    client.set(KEYS.pool("shop/other"), '{"v":99}')

    good, newer = read_pools(source)

    assert (good.record, good.problem) == (record, "")
    assert newer.record == wire.PoolRecord("shop/other")
    assert "version 99" in newer.problem
    assert read_pool(source, "shop/nobody") is None


def test_of_very_many_pools_those_that_were_told_of_last_are_shown_and_all_are_found(
    source: Source, client: redis.Redis
) -> None:
    for number in range(203):
        board_scene.decide(client, wire.PoolRecord(f"shop/pool-{number:03}", (f"queue-{number:03}",)))
        client.zadd(KEYS.pools, {f"shop/pool-{number:03}": number})

    overview = read_overview(source)

    assert [look.pool for look in overview.pools] == [f"shop/pool-{number:03}" for number in range(3, 203)]
    assert (overview.unlisted_pools, overview.total_queues) == (3, 203)
    assert search(source, "pool-000").pools == ("shop/pool-000",)


def test_a_history_is_thinned_out_but_for_its_decisions(source: Source, client: redis.Redis) -> None:
    board_scene.remember(client, POOL, minutes=60)

    whole = read_history(source, POOL)
    thin = read_history(source, POOL, most=10)
    short = read_history(source, POOL, hours=0.5)

    assert not whole.is_thinned
    assert thin.is_thinned
    assert thin.decisions == whole.decisions
    assert len(thin.entries) <= 11 + len(whole.decisions)
    assert thin.entries[-1] == whole.entries[-1]
    assert len(read_history(source, POOL).entries) == len(whole.entries)
    assert min(entry.at_ms for entry in short.entries) >= short.from_ms == short.to_ms - 30 * MINUTE


def test_a_history_goes_on_where_it_was_read_to(source: Source, client: redis.Redis) -> None:
    board_scene.remember(client, POOL, minutes=10)
    before = read_history(source, POOL)
    client.xadd(KEYS.history(POOL), {"v": "1", "ready": "7"})
    client.xadd(KEYS.history(POOL), {"v": "99", "ready": "8"})  # of a newer operator
    client.xadd(KEYS.history(POOL), {"v": "1", "ready": "9"})

    after = read_history(source, POOL)

    assert after.entries[:-2] == before.entries
    assert [entry.ready for entry in after.entries[-2:]] == [7, 9]
    assert after.entries == read_history(Source(client), POOL).entries


def test_a_history_begins_anew_where_redis_was_emptied(source: Source, client: redis.Redis) -> None:
    board_scene.remember(client, POOL, minutes=10)
    read_history(source, POOL)
    client.delete(KEYS.history(POOL))
    assert read_history(source, POOL).entries == ()

    client.xadd(KEYS.history(POOL), {"v": "1", "ready": "7"})

    assert [entry.ready for entry in read_history(source, POOL).entries] == [7]


def test_workers_tell_what_they_run_and_who_asked_them_to_drain(source: Source, client: redis.Redis) -> None:
    board_scene.work(client, POOL, "w1", "pod-1", state=wire.WorkerState.RUNNING, busy=1)
    board_scene.work(client, POOL, "w2", "pod-2", state=wire.WorkerState.DRAINING, busy=0)
    client.hset(KEYS.workers(POOL), "w3", '{"v":99}')
    client.hset(KEYS.orders(POOL), "pod-2", "drain")
    client.hset(KEYS.asked(POOL), "w2", wire.write_asked(wire.Asked("w2", "jane")))
    board_scene.run(client, "sms", "sms.send", 1, "w1", for_ms=5_000)

    found = read_workers(source, POOL, ["sms"])

    by_id = {it.worker: it for it in found.workers}
    assert [job.id for job in by_id["w1"].jobs] == ["sms.send-acme-1001"]
    assert (by_id["w1"].is_ordered, by_id["w1"].asked, by_id["w1"].is_silent) == (False, None, False)
    assert (by_id["w2"].is_ordered, by_id["w2"].asked) == (True, wire.Asked("w2", "jane"))
    assert "version 99" in by_id["w3"].problem
    assert (found.busy, found.threads) == (1, 16)


def test_finds_a_job_by_its_id_and_queues_and_pools_by_a_part_of_their_names(redis_server: RedisServer) -> None:
    board_scene.busy_afternoon(redis_server.url)
    with redis.Redis.from_url(redis_server.url) as client:
        source = Source(client)
        by_id, by_name, nothing = search(source, " dead-sms-3 "), search(source, "R"), search(source, "  ")

    assert by_id.job is not None
    assert by_id.job.job.id == "dead-sms-3"
    assert (by_name.queues, by_name.pools) == (("reports", "rules"), ("shop/reports",))
    assert (nothing.queues, nothing.pools, nothing.job) == ((), (), None)


def test_the_health_of_all_queues_is_one_answer(redis_server: RedisServer) -> None:
    board_scene.busy_afternoon(redis_server.url)
    with redis.Redis.from_url(redis_server.url) as client:
        found = read_health(Source(client))

    assert (found.queues, found.pools, found.ready, found.in_flight, found.delayed, found.dead) == (4, 3, 128, 7, 4, 15)
    assert (found.paused, found.held_pools) == (("reports",), ())


def round_trips(client: redis.Redis, read: Any) -> tuple[int, dict[str, int]]:
    """How many commands a reading sends, and which of them walk."""
    client.config_resetstat()
    read()
    stats: dict[str, dict[str, int]] = client.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): told["calls"] for name, told in stats.items()}
    walking = {name: number for name, number in calls.items() if name in {"keys", "scan", "hscan", "sscan", "zscan"}}
    return sum(calls.values()), walking


def test_a_long_queue_costs_as_many_commands_as_a_short_one_and_nothing_walks(
    source: Source, client: redis.Redis, broker: CrewcallBroker
) -> None:
    board_scene.enqueue(broker, "short", "job", 60)
    for _ in range(30):
        board_scene.enqueue(broker, "long", "job", 60)
    readings: dict[str, Callable[[str], object]] = {
        "queue": lambda queue: read_queue(source, queue),
        "jobs": lambda queue: read_jobs(source, queue, Listed.READY),
        "overview": lambda queue: read_overview(source),
    }
    for read in readings.values():
        read("short")  # its script is known to Redis from then on

    for name, read in readings.items():
        short, walks = round_trips(client, partial(read, "short"))
        long, walks_too = round_trips(client, partial(read, "long"))
        assert (name, walks, walks_too) == (name, {}, {})
        assert long <= short


def test_a_hundred_queues_are_read_in_three_round_trips(source: Source, client: redis.Redis) -> None:
    names = [f"q{number}" for number in range(100)]

    looks = read_queues(source, names)

    assert [look.queue for look in looks] == names
    calls, _ = round_trips(client, lambda: read_queues(source, names))
    assert calls <= 12 * 100 + 10
