"""The queue service against a real Redis, and against what stands in its place when things go wrong."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import redis
from tests.support.redis import RedisServer, emptied
from tests.support.waiting import DEADLINE, wait_until

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker.errors import BadSetting
from crewcall_worker.queues import (
    CATALOGUE,
    AsyncQueueService,
    Dedupe,
    Health,
    InvalidPayload,
    JobContext,
    JobType,
    NewJob,
    Outcome,
    Payload,
    Priority,
    QueueService,
    QueueUnavailable,
    RateLimit,
    Receipt,
    job,
)
from crewcall_worker.queues.counts import QueueCounts

AT_MOST_S = 15.0
"""Within which a call has failed, whatever is wrong: two waits of 2 s, and room for a machine that stands still."""


class Alert(Payload):
    rule: str
    at: float = 0.0


class Other(Payload):
    pass


@job(
    "test.alert",
    queue="alerts",
    dedupe=Dedupe(key=lambda alert: alert.rule, window=300.0),
    rate=RateLimit(10, key=lambda alert: alert.rule),
    priority=Priority.HIGH,
)
def alert(payload: Alert, context: JobContext) -> None:
    """Never run here."""


@job("test.plain", queue="plain")
def plain(payload: Alert, context: JobContext) -> None:
    """Never run here."""


del CATALOGUE["test.alert"], CATALOGUE["test.plain"]

DISK = Alert(organization_id="acme", rule="disk")


@pytest.fixture
def queues(redis_server: RedisServer) -> Iterator[QueueService]:
    service = QueueService.from_environment({"REDIS_URL": redis_server.url})
    yield service
    service.shutdown()


def messages(server: RedisServer, queue: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in server.client.hvals(f"dramatiq:{queue}.msgs")]


def test_a_job_carries_what_its_queue_has_to_know(queues: QueueService, redis_server: RedisServer) -> None:
    receipt = queues.enqueue(alert, DISK)

    (message,) = messages(redis_server, "alerts")
    assert message["message_id"] == receipt.id
    assert (message["queue_name"], message["actor_name"], message["args"]) == ("alerts", "test.alert", [])
    assert message["kwargs"] == {"payload": {"organization_id": "acme", "rule": "disk", "at": 0.0}}
    assert {name: message["options"].get(name) for name in ("organization_id", "priority", "rate_key")} == {
        "organization_id": "acme",
        "priority": 0,
        "rate_key": "disk",
    }


def test_a_second_job_of_a_key_is_a_duplicate_of_the_first(queues: QueueService, redis_server: RedisServer) -> None:
    first = queues.enqueue(alert, DISK)

    again = queues.enqueue(alert, DISK)
    other = queues.enqueue(alert, DISK, dedupe_key="disk of another host")

    assert again == Receipt(first.id, Outcome.DUPLICATE)
    assert (again.is_duplicate, again.is_enqueued, other.is_enqueued) == (True, False, True)
    assert {message["message_id"] for message in messages(redis_server, "alerts")} == {first.id, other.id}


def test_the_key_holds_for_the_types_window_or_for_five_minutes(
    queues: QueueService, redis_server: RedisServer
) -> None:
    queues.enqueue(alert, DISK)
    queues.enqueue(plain, DISK, dedupe_key="once")

    left = {key: redis_server.client.pttl(key) for key in redis_server.client.keys("crewcall:dramatiq:dedupe:*")}
    assert set(left) == {
        "crewcall:dramatiq:dedupe:alerts:4:acme:10:test.alert:disk",
        "crewcall:dramatiq:dedupe:plain:4:acme:10:test.plain:once",
    }
    assert all(290_000 < ms <= 300_000 for ms in left.values())


@pytest.mark.parametrize("delay", [60, 60.0, timedelta(minutes=1)])
def test_a_delayed_job_waits_until_it_is_due(
    queues: QueueService, redis_server: RedisServer, delay: float | timedelta
) -> None:
    before = time.time()

    receipt = queues.enqueue(plain, DISK, delay=delay)

    due_ms = redis_server.client.zscore("crewcall:dramatiq:eta:plain", receipt.id)
    assert due_ms is not None
    assert before + 59.9 <= due_ms / 1000 <= time.time() + 60.1
    assert messages(redis_server, "plain") == []


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), timedelta(seconds=-1), 1e12, timedelta.max])
def test_a_delay_that_is_none_is_told(queues: QueueService, delay: float | timedelta) -> None:
    with pytest.raises(ValueError, match=r"^delay is .*; expected seconds, from 0 to 315619200 \(ten years\)$"):
        queues.enqueue(plain, DISK, delay=delay)


def test_many_jobs_are_enqueued_in_one_round_trip_and_in_their_order(
    queues: QueueService, redis_server: RedisServer
) -> None:
    queues.enqueue(plain, DISK)
    redis_server.client.flushall()
    redis_server.client.config_resetstat()

    receipts = queues.enqueue_many([NewJob(plain, Alert(organization_id="acme", rule=str(n))) for n in range(100)])

    sent = redis_server.client.lrange("crewcall:dramatiq:lane:plain:1:acme", 0, -1)
    assert sent == [receipt.id for receipt in receipts]
    assert redis_server.client.info("commandstats")["cmdstat_evalsha"]["calls"] == 1


def test_jobs_of_many_types_go_together_each_by_its_own_rules(queues: QueueService) -> None:
    first, second, third = queues.enqueue_many(
        [NewJob(alert, DISK), NewJob(alert, DISK), NewJob(plain, DISK, delay=5, priority=Priority.LOW)]
    )

    assert second == Receipt(first.id, Outcome.DUPLICATE)
    assert third.is_enqueued
    assert queues.stats() == {
        "alerts": QueueCounts("alerts", 1, 0, 0, 0, 0, 0, 0, is_paused=False),
        "plain": QueueCounts("plain", 0, 0, 0, 1, 0, 0, 0, is_paused=False),
    }


def test_of_a_batch_with_an_invalid_payload_nothing_is_enqueued(
    queues: QueueService, redis_server: RedisServer
) -> None:
    broken = Alert.model_construct(rule="disk")

    with pytest.raises(
        InvalidPayload, match=r"^The payload of test.plain is invalid: organization_id: Field required$"
    ):
        queues.enqueue_many([NewJob(plain, DISK), NewJob(plain, broken)])
    assert messages(redis_server, "plain") == []


def test_of_a_batch_with_an_empty_key_nothing_is_enqueued(
    queues: QueueService, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crewcall_worker.outbox.MOST_AT_ONCE", 1)

    with pytest.raises(ValueError, match=r"^dedupe_key is ''; expected a text that is not empty"):
        queues.enqueue_many([NewJob(plain, DISK), NewJob(plain, DISK, dedupe_key="")])
    assert messages(redis_server, "plain") == []


def test_what_would_not_be_understood_at_the_run_is_not_enqueued(queues: QueueService) -> None:
    with pytest.raises(
        InvalidPayload, match=r"^The payload of test.plain is invalid: at: Input should be a valid number"
    ):
        queues.enqueue(plain, Alert(organization_id="acme", rule="disk", at=float("nan")))


def test_a_payload_of_another_type_is_told(queues: QueueService) -> None:
    kind: JobType[Any] = plain  # a type checker would tell

    with pytest.raises(TypeError, match=r"^job 'test.plain' takes a Alert, not a Other$"):
        queues.enqueue_many([NewJob(kind, Other(organization_id="acme"))])


def test_without_a_redis_the_service_is_disabled_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    queues = QueueService.from_environment({})

    health = queues.initialize()
    receipts = [queues.enqueue(plain, DISK) for _ in range(2)]
    queues.shutdown()

    assert not queues.enabled
    assert health == Health(enabled=False)
    assert not health.is_ok
    assert receipts == [Receipt("", Outcome.DISABLED)] * 2
    assert queues.stats() == {}
    assert [record.getMessage() for record in caplog.records] == [
        "No Redis is configured: jobs are not enqueued. Set REDIS_URL, or REDIS_HOST"
    ]


def test_a_disabled_service_refuses_an_invalid_payload_all_the_same() -> None:
    with pytest.raises(InvalidPayload):
        QueueService(None).enqueue(plain, Alert.model_construct(rule="disk"))


def test_a_wrong_setting_is_told_at_once() -> None:
    with pytest.raises(BadSetting, match=r"^REDIS_URL is '\(not shown\)'; it cannot be understood"):
        QueueService.from_environment({"REDIS_URL": "http://redis"})


def test_a_service_that_starts_says_where_jobs_go(queues: QueueService, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    health = queues.initialize()

    assert health == Health(enabled=True, endpoint=queues.endpoint, took=health.took)
    assert health.is_ok
    assert [record.getMessage() for record in caplog.records] == [f"Jobs are enqueued into Redis {queues.endpoint}"]


# What may be wrong with a Redis


@contextmanager
def service(**environment: str) -> Iterator[QueueService]:
    queues = QueueService.from_environment(environment)
    yield queues
    queues.shutdown()


def failure(queues: QueueService) -> QueueUnavailable:
    """What an enqueue is answered with, which health tells as well, and both of them soon."""
    begun = time.monotonic()
    with pytest.raises(QueueUnavailable) as caught:
        queues.enqueue(plain, DISK)
    assert time.monotonic() - begun < AT_MOST_S
    health = queues.health()
    assert (health.enabled, health.is_ok, bool(health.problem)) == (True, False, True)
    assert queues.endpoint in str(caught.value)
    return caught.value


def test_a_redis_that_is_not_there_is_told_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with service(REDIS_HOST="127.0.0.1", REDIS_PORT=str(port)) as queues:
            error = failure(queues)

    assert str(error).startswith(f"Redis 127.0.0.1:{port}/0 cannot be reached or does not answer: ")
    assert str(error).endswith("Connection refused. Check that it runs, and REDIS_URL")
    assert error.is_unknown


def test_a_redis_that_hangs_is_given_up_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with service(REDIS_HOST="127.0.0.1", REDIS_PORT=str(port)) as queues:
            error = failure(queues)

    assert str(error).startswith(f"Redis 127.0.0.1:{port}/0 cannot be reached or does not answer: Timeout")
    assert error.is_unknown


def test_a_redis_that_stops_in_the_middle_may_have_taken_the_job_all_the_same() -> None:
    with EmbeddedRedis() as server, emptied(server) as seen, service(REDIS_URL=server.url) as queues:
        first = queues.enqueue(plain, DISK, dedupe_key="once")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            error = failure(queues)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        wait_until(lambda: seen.client.hlen("dramatiq:plain.msgs") == 2, "the job to be there although none said so")
        again = queues.enqueue(plain, DISK, dedupe_key="once")

    assert error.is_unknown
    assert again == Receipt(first.id, Outcome.DUPLICATE)


def test_a_redis_that_was_restarted_is_used_again_without_a_word() -> None:
    with EmbeddedRedis(keeps_data=True) as server, service(REDIS_URL=server.url) as queues:
        before = queues.enqueue(plain, DISK)
        server.stop()
        away = failure(queues)
        server.start()
        after = [queues.enqueue(plain, DISK) for _ in range(2)]
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            found = client.hkeys("dramatiq:plain.msgs")

    assert "Connection refused" in str(away)
    assert set(found) >= {receipt.id for receipt in after}
    assert before.is_enqueued


def test_a_restart_between_two_calls_goes_unnoticed() -> None:
    with EmbeddedRedis(keeps_data=True) as server, service(REDIS_URL=server.url) as queues:
        queues.enqueue(plain, DISK)
        server.stop()
        server.start()

        assert queues.enqueue(plain, DISK).is_enqueued


def test_a_wrong_password_is_told() -> None:
    with EmbeddedRedis() as server:
        with redis.Redis.from_url(server.url) as client:
            client.config_set("requirepass", "right")
        with service(REDIS_HOST="127.0.0.1", REDIS_PORT=str(server.port), REDIS_PASSWORD="wrong") as queues:
            error = failure(queues)
        with service(REDIS_HOST="127.0.0.1", REDIS_PORT=str(server.port), REDIS_PASSWORD="right") as queues:
            assert queues.enqueue(plain, DISK).is_enqueued
        with service(REDIS_URL=server.url) as queues:
            assert "refuses the user or the password" in str(failure(queues))

    assert "refuses the user or the password. Correct REDIS_URL or REDIS_PASSWORD: " in str(error)
    assert "wrong" not in str(error)
    assert not error.is_unknown


def test_a_read_only_replica_is_told() -> None:
    with (
        EmbeddedRedis() as primary,
        EmbeddedRedis(options=("--replicaof", f"127.0.0.1 {primary.port}")) as replica,
        service(REDIS_URL=replica.url) as queues,
    ):
        error = failure(queues)

    assert "is a read-only replica. Point REDIS_URL at the primary, or name its Sentinels: " in str(error)
    assert not error.is_unknown


def test_a_full_redis_is_told_and_nothing_is_half_done() -> None:
    with EmbeddedRedis() as server, emptied(server) as seen, service(REDIS_URL=server.url) as queues:
        queues.enqueue(plain, DISK)
        before = seen.client.dbsize()
        seen.client.config_set("maxmemory", "1mb")
        error = failure(queues)
        after = seen.client.dbsize()

    assert "is full, and takes no more. Raise its maxmemory, or let the workers catch up: " in str(error)
    assert not error.is_unknown
    assert before == after


def test_a_user_without_the_rights_is_told() -> None:
    with EmbeddedRedis() as server, emptied(server) as seen:
        seen.client.execute_command("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@read", "+@connection")
        with service(REDIS_URL=f"redis://app:secret@127.0.0.1:{server.port}/0") as queues:
            error = failure(queues)

    assert "does not let this user enqueue. Grant it the rights that docs/workerpool.md lists: " in str(error)
    assert "secret" not in str(error)


def test_of_a_large_batch_that_breaks_off_the_receipts_so_far_are_told(
    redis_server: RedisServer, queues: QueueService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crewcall_worker.outbox.MOST_AT_ONCE", 2)
    queues.enqueue(plain, DISK)
    redis_server.client.flushall()
    jobs = [NewJob(plain, DISK), NewJob(plain, DISK), NewJob(alert, DISK), NewJob(plain, DISK)]
    redis_server.client.set("dramatiq:alerts.msgs", "in the way of the third")

    with pytest.raises(QueueUnavailable, match="WRONGTYPE") as caught:
        queues.enqueue_many(jobs)

    assert {receipt.id for receipt in caught.value.receipts} == set(redis_server.client.hkeys("dramatiq:plain.msgs"))
    assert len(caught.value.receipts) == 2


def test_threads_share_a_service(queues: QueueService, redis_server: RedisServer) -> None:
    with ThreadPoolExecutor(8) as threads:
        receipts = list(threads.map(lambda _: queues.enqueue(plain, DISK), range(200)))

    assert len({receipt.id for receipt in receipts}) == 200
    assert redis_server.client.hlen("dramatiq:plain.msgs") == 200
    assert redis_server.client.hget("crewcall:dramatiq:stats:plain", "enqueued") == "200"


def test_of_threads_that_send_one_key_at_once_one_enqueues(queues: QueueService, redis_server: RedisServer) -> None:
    with ThreadPoolExecutor(8) as threads:
        receipts = list(threads.map(lambda _: queues.enqueue(alert, DISK), range(50)))

    assert [receipt.is_enqueued for receipt in receipts].count(True) == 1
    assert len({receipt.id for receipt in receipts}) == 1


def test_a_service_outlives_a_fork(queues: QueueService, redis_server: RedisServer) -> None:
    before = queues.enqueue(plain, DISK)

    child = multiprocessing.get_context("fork").Process(target=queues.enqueue, args=(plain, DISK))
    child.start()
    child.join(DEADLINE)
    after = queues.enqueue(plain, DISK)

    assert child.exitcode == 0
    ids = {message["message_id"] for message in messages(redis_server, "plain")}
    assert len(ids) == 3
    assert ids > {before.id, after.id}


# asyncio


async def test_coroutines_do_the_same(redis_server: RedisServer) -> None:
    queues = AsyncQueueService.from_environment({"REDIS_URL": redis_server.url})

    health = await queues.initialize()
    first = await queues.enqueue(alert, DISK)
    again, other = await queues.enqueue_many([NewJob(alert, DISK), NewJob(plain, DISK)])
    together = await asyncio.gather(*(queues.enqueue(plain, DISK) for _ in range(20)))
    counts = await queues.stats()
    await queues.shutdown()

    assert (queues.enabled, health.is_ok) == (True, True)
    assert again == Receipt(first.id, Outcome.DUPLICATE)
    assert len({receipt.id for receipt in (first, other, *together)}) == 22
    assert {queue: count.ready for queue, count in counts.items()} == {"alerts": 1, "plain": 21}


async def test_a_loop_goes_on_while_redis_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        queues = AsyncQueueService.from_environment({"REDIS_URL": f"redis://127.0.0.1:{silent.getsockname()[1]}"})
        waiting = [asyncio.create_task(queues.enqueue(plain, DISK)) for _ in range(3)]
        turns = 0
        while not all(task.done() for task in waiting):
            await asyncio.sleep(0.02)
            turns += 1
        await queues.shutdown()

    assert [type(task.exception()) for task in waiting] == [QueueUnavailable] * 3
    assert turns > 20


async def test_of_many_calls_at_once_each_fails_in_its_own_time_while_redis_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        queues = AsyncQueueService.from_environment({"REDIS_URL": f"redis://127.0.0.1:{silent.getsockname()[1]}"})
        begun = time.monotonic()
        errors = await asyncio.gather(*(queues.enqueue(plain, DISK) for _ in range(80)), return_exceptions=True)
        took = time.monotonic() - begun
        behind = [asyncio.create_task(queues.enqueue(plain, DISK)) for _ in range(20)]
        await asyncio.sleep(0)
        health = await queues.health()
        await asyncio.wait(behind)
        await queues.shutdown()

    assert {type(error) for error in errors} == {QueueUnavailable}
    assert took < AT_MOST_S
    assert {error.is_unknown for error in errors if isinstance(error, QueueUnavailable)} == {True, False}
    assert (health.enabled, health.is_ok) == (True, False)
    assert "keeps all 8 threads busy: this call had none within 3 s and was not made. " in health.problem
    assert {type(task.exception()) for task in behind} == {QueueUnavailable}


async def test_who_cancels_a_call_is_not_told_of_redis() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        queues = AsyncQueueService.from_environment({"REDIS_URL": f"redis://127.0.0.1:{silent.getsockname()[1]}"})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await queues.enqueue(plain, DISK)
        await queues.shutdown()


async def test_a_disabled_service_answers_coroutines_too() -> None:
    queues = AsyncQueueService.from_environment({})

    assert await queues.enqueue(plain, DISK) == Receipt("", Outcome.DISABLED)
    assert await queues.health() == Health(enabled=False)
    await queues.shutdown()
