"""The contract itself: names, records that older and newer versions write, and what a real worker writes."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest
from dramatiq.brokers.redis import RedisBroker
from tests.support import jobs
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until
from tests.support.workers import worker

from crewcall_worker import process, wire
from crewcall_worker.wire import Keys, Order, UnknownRecord, WorkerRecord, WorkerState

POOL, POD = "shop/notifications", "notifications-7d9f-x2k4p"
KEYS = Keys()
NAMED = {wire.ENV_NAMESPACE: "shop", wire.ENV_POOL: "notifications", wire.ENV_POD: POD}
FULL = WorkerRecord(
    worker="w1",
    state=WorkerState.DRAINING,
    pod=POD,
    host_started_ms=1_700_000_000_000,
    threads=8,
    busy=2,
    prefetched=3,
    oldest_ms=1_700_000_000_500,
    queues=("email", "sms"),
    at_ms=1_700_000_001_000,
    process="boot/pid:[4026531836] 17 123456",
)


def test_every_key_and_channel_says_of_what_type_it_is() -> None:
    kinds = re.compile("(Hash|Zset|List|Set|String|Stream|Channel)(:| of) .")
    names = [name for name in vars(Keys) if not name.startswith("_") and name not in ("namespace", "prefix")]

    assert [name for name in names if not kinds.match(inspect.getdoc(getattr(Keys, name)) or "")] == []
    assert {"workers", "hints", "acks"} <= {*names}


@pytest.mark.parametrize("queue", ["sms", "sms.DQ", "sms.XQ"])
def test_what_is_kept_of_a_queue_is_kept_under_its_plain_name(queue: str) -> None:
    keys = Keys("jobs")

    assert [keys.kills(queue), keys.deliveries(queue), keys.stats(queue), keys.eta(queue), keys.dead(queue)] == [
        "crewcall:jobs:kills:sms",
        "crewcall:jobs:deliveries:sms",
        "crewcall:jobs:stats:sms",
        "crewcall:jobs:eta:sms",
        "jobs:sms.XQ",
    ]


def test_dramatiq_finds_its_messages_under_the_names_of_its_keys(redis_server: RedisServer) -> None:
    broker = RedisBroker(url=redis_server.url)
    now, later = (broker.enqueue(jobs.hold.message(0), delay=delay) for delay in (None, 60_000))
    broker.consume("sms").__next__()
    broker.consume("sms.DQ").__next__()
    client, worker_id = redis_server.client, broker.broker_id
    broker.close()

    assert client.smembers(KEYS.acks(worker_id, "sms")) == set(client.hkeys(KEYS.messages("sms")))
    assert client.hkeys(KEYS.messages("sms")) == [now.options["redis_message_id"]]
    assert client.hkeys(KEYS.messages("sms.DQ")) == [later.options["redis_message_id"]]
    assert client.exists(KEYS.ready("sms")) == 0
    assert client.zrange(KEYS.heartbeats, 0, -1) == [worker_id]


def test_pools_of_one_name_in_two_namespaces_are_two() -> None:
    assert [wire.pool_name("shop", "sms"), wire.pool_name("blog", "sms"), wire.pool_name("", "sms")] == [
        "shop/sms",
        "blog/sms",
        "sms",
    ]


def test_a_record_is_read_as_it_was_written() -> None:
    assert wire.read_worker("w1", wire.write_worker(FULL)) == FULL


def test_a_record_without_anything_but_its_version_tells_nothing() -> None:
    assert wire.read_worker("w1", b'{"v":1}') == WorkerRecord(worker="w1")


def test_fields_of_a_later_writer_are_ignored_and_words_it_has_invented_tell_nothing() -> None:
    fields = {**json.loads(wire.write_worker(FULL)), "gpu": 1, "state": "asleep", "busy": "two", "threads": True}

    assert wire.read_worker("w1", json.dumps(fields)) == WorkerRecord(
        **{
            **{name: getattr(FULL, name) for name in FULL.__slots__},
            "state": None,
            "busy": None,
            "threads": None,
        }
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"v":2,"state":"running"}', "worker w1: its record is of version 2; known is 1. Update the reader."),
        ('{"state":"running"}', "worker w1: its record has no version; expected an object with v = 1"),
        ("[1]", "worker w1: its record has no version; expected an object with v = 1"),
        ("{", "worker w1: its record is no JSON"),
    ],
)
def test_a_record_that_cannot_be_understood_says_why(text: str, words: str) -> None:
    with pytest.raises(UnknownRecord) as caught:
        wire.read_worker("w1", text)

    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("text", "order"),
    [(None, Order.RUN), ("run", Order.RUN), (b"drain", Order.DRAIN), ("drain", Order.DRAIN), ("dance", Order.RUN)],
)
def test_only_the_word_drain_is_an_order_to_drain(text: str | bytes | None, order: Order) -> None:
    assert wire.read_order(text) is order


def test_a_real_worker_writes_what_is_written_down(redis_server: RedisServer, tmp_path: Path) -> None:
    client = redis_server.client
    broker = RedisBroker(url=redis_server.url)
    for job in range(4):
        broker.enqueue(jobs.hold.message(job))
    broker.close()
    before_ms = now_ms(redis_server)
    with worker("crewcall-worker", redis_server, tmp_path, threads=2, environment=NAMED) as running:
        wait_until(lambda: (record := only(redis_server)) and record.busy == 2 and record.prefetched == 2, "full hands")
        record = only(redis_server)
        assert record is not None
        assert record.host_started_ms is not None
        assert record.oldest_ms is not None
        assert record.at_ms is not None
        assert (
            before_ms <= record.host_started_ms <= record.oldest_ms + 2 <= record.at_ms + 4 <= now_ms(redis_server) + 6
        )
        assert record == WorkerRecord(
            worker=record.worker,
            state=WorkerState.RUNNING,
            pod=POD,
            host_started_ms=record.host_started_ms,
            threads=2,
            busy=2,
            prefetched=2,
            oldest_ms=record.oldest_ms,
            queues=("sms",),
            at_ms=record.at_ms,
            process=record.process,
        )
        assert record.process is not None
        assert process.lives(record.process)
        assert client.scard(KEYS.acks(record.worker, "sms")) == 4
        assert client.zscore(KEYS.heartbeats, record.worker) is not None

        jobs.let_go(client, 4)
        wait_until(lambda: client.llen(jobs.DONE) == 4, "all jobs to be done")
        running.terminate()
        assert running.exit_status() == 0

    assert client.exists(KEYS.workers(POOL)) == 0
    assert client.zscore(KEYS.heartbeats, record.worker) is None


def test_a_worker_that_nobody_has_named_is_its_host_and_process(redis_server: RedisServer, tmp_path: Path) -> None:
    with worker("crewcall-worker", redis_server, tmp_path) as running:
        wait_until(lambda: only(redis_server, ""), "its record")
        record = only(redis_server, "")

    assert record is not None
    assert record.pod is not None
    assert record.pod.endswith(f"-{running.process.pid}")


def only(server: RedisServer, pool: str = POOL) -> WorkerRecord | None:
    """The only worker of the pool."""
    records = server.client.hgetall(KEYS.workers(pool))
    assert len(records) <= 1
    return next((wire.read_worker(str(id_), text) for id_, text in records.items()), None)


def now_ms(server: RedisServer) -> int:
    seconds, microseconds = server.client.time()
    return int(seconds * 1000 + microseconds // 1000)
