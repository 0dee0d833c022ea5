"""What Redis remembers of jobs that are over: completed ones, dead ones, and what each organisation's come to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from dramatiq import Message
from dramatiq.broker import MessageProxy
from tests.support.redis import RedisServer, emptied
from tests.support.waiting import DEADLINE

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.job_message import JobMessage
from crewcall_worker.queues.accounts import Accounts
from crewcall_worker.queues.organizations import OrganizationCounts
from crewcall_worker.queues.records import LARGEST_KEPT, read_record
from crewcall_worker.queues.views import Views
from crewcall_worker.recovery import lapsed
from crewcall_worker.retention import Retention

KEYS = wire.Keys()
KEPT = Retention()
HOUR_MS = 3_600_000


class Worker:
    """The part of a worker that tells of its jobs, by a clock that the test sets."""

    def __init__(self, url: str, retention: Retention = KEPT) -> None:
        self.broker = CrewcallBroker(url=url, middleware=[])
        self.now = 100.0
        self.accounts = Accounts(self.broker, self.broker.outbox.clock, ["sms"], retention, steady=lambda: self.now)
        self.accounts.take_part()
        self.broker.outbox.clock.now_ms()

    def run(self, message: Message[Any], *, took: float = 0.0, error: Exception | None = None) -> None:
        """As a worker's thread does it, but for the job itself."""
        proxy = MessageProxy(message)
        self.broker.emit_before("process_message", proxy)
        self.now += took
        if error is not None:
            proxy.fail()
        self.broker.emit_after("process_message", proxy, exception=error)


@pytest.fixture
def worker(redis_server: RedisServer) -> Iterator[Worker]:
    worker = Worker(redis_server.url)
    yield worker
    worker.broker.close()


def job(organization: str = "acme", payload: object = 1, **options: object) -> Message[Any]:
    message = JobMessage("sms", "sms.send", (), {"payload": payload}, {"organization_id": organization, **options})
    return message.copy(options={"redis_message_id": message.message_id})


def test_a_completed_job_is_kept_with_what_it_carried_and_how_long_it_took(
    worker: Worker, redis_server: RedisServer
) -> None:
    done = job(payload={"to": "+49"}, retries=1, traceback="of the first try")

    worker.run(done, took=2.0)
    worker.accounts.tell()

    text = redis_server.client.hget(KEYS.records("sms"), done.message_id)
    assert isinstance(text, str)
    record = read_record(text)
    assert record.message.asdict() == {**done.asdict(), "options": {"organization_id": "acme", "retries": 1}}
    assert record.ended_ms - record.began_ms == 2_000
    assert (record.worker, record.payload_size) == (worker.broker.broker_id, None)
    assert redis_server.client.zscore(KEYS.completed("sms"), done.message_id) == record.ended_ms


def test_jobs_that_failed_or_will_run_again_are_not_completed(worker: Worker, redis_server: RedisServer) -> None:
    worker.run(job(), error=RuntimeError("for good"))
    again = MessageProxy(job())
    worker.broker.emit_before("process_message", again)
    worker.broker.emit_after("process_message", again, exception=RuntimeError("for now"))
    worker.broker.emit_after("skip_message", MessageProxy(job()))
    worker.accounts.tell()

    assert redis_server.client.exists(KEYS.completed("sms"), KEYS.records("sms"), KEYS.running("sms")) == 0


def test_plain_actors_jobs_leave_no_record(worker: Worker, redis_server: RedisServer) -> None:
    worker.run(Message("sms", "send", (), {}, {"redis_message_id": "1"}))
    worker.accounts.tell()

    assert sorted(redis_server.client.keys(f"{KEYS.prefix}*")) == [KEYS.retention, KEYS.stats("sms")]


def test_a_payload_that_is_too_large_is_left_out_and_its_size_told(worker: Worker, redis_server: RedisServer) -> None:
    large = job(payload="x" * LARGEST_KEPT)
    worker.run(large)
    worker.accounts.tell()

    (text,) = redis_server.client.hvals(KEYS.records("sms"))
    record = read_record(text)
    assert record.message.kwargs == {}
    assert record.payload_size is not None
    assert record.payload_size > LARGEST_KEPT


def test_a_worker_that_stops_while_redis_hangs_does_not_tell_a_second_time_beside_the_first(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, hanging = threading.Event(), threading.Event()
    by: list[str] = []

    def hang() -> None:
        by.append(threading.current_thread().name)
        told.set()
        hanging.wait(DEADLINE)
        raise redis.ConnectionError("it hung")

    monkeypatch.setattr("crewcall_worker.queues.accounts.TELL_EVERY", 0.01)
    monkeypatch.setattr(worker.accounts.stats, "tell", hang)
    worker.accounts.start()
    assert told.wait(DEADLINE)

    worker.accounts.stop()

    hanging.set()
    assert by == ["crewcall-accounts"]


def test_what_json_cannot_hold_is_left_out_like_what_is_too_large(worker: Worker, redis_server: RedisServer) -> None:
    circle: list[object] = []
    circle.append(circle)
    odd = [job(payload={("a", 1): 2}), job(payload=circle), job(payload=[], note={("a", 1): 2}), job(payload=1)]
    for message in odd:  # of another encoder, such as Dramatiq's for pickles
        worker.run(message)

    worker.accounts.tell()

    found = redis_server.client.hgetall(KEYS.records("sms"))
    told = [read_record(found[message.message_id]) for message in odd]
    assert [record.message.kwargs for record in told] == [{}, {}, {}, {"payload": 1}]
    assert [record.payload_size for record in told] == [0, 0, 0, None]
    assert told[2].message.options == {"organization_id": "acme"}


def test_only_so_many_are_kept_however_many_there_were_and_memory_does_not_grow(redis_server: RedisServer) -> None:
    worker = Worker(redis_server.url, Retention(completed_most=200))

    def run(count: int) -> int:
        for number in range(count):
            worker.run(job(payload={"number": number}))
            if number % 90 == 0:
                worker.accounts.tell()
        worker.accounts.tell()
        keys = (KEYS.completed("sms"), KEYS.records("sms"))
        assert redis_server.client.zcard(keys[0]) == redis_server.client.hlen(keys[1]) == 200
        return sum(int(redis_server.client.memory_usage(key, samples=0) or 0) for key in keys)

    after_few, after_many = run(400), run(4_000)

    assert after_many < 1.2 * after_few
    records = [read_record(text) for text in redis_server.client.hvals(KEYS.records("sms"))]
    assert min(record.message.kwargs["payload"]["number"] for record in records) > 3_700
    worker.broker.close()


def test_a_smaller_number_to_keep_takes_effect_at_once(worker: Worker, redis_server: RedisServer) -> None:
    for _ in range(150):
        worker.run(job())
    worker.accounts.tell()
    second = Worker(redis_server.url, Retention(completed_most=10))

    second.run(job())
    second.accounts.tell()

    assert redis_server.client.zcard(KEYS.completed("sms")) == redis_server.client.hlen(KEYS.records("sms")) == 10
    second.broker.close()


def test_what_is_too_old_goes_with_the_next_one_and_all_of_it_where_no_more_come(
    worker: Worker, redis_server: RedisServer
) -> None:
    old, young = job(), job()
    worker.run(old)
    worker.accounts.tell()
    redis_server.client.zincrby(KEYS.completed("sms"), -25 * HOUR_MS, old.message_id)

    worker.run(young)
    worker.accounts.tell()

    assert redis_server.client.zrange(KEYS.completed("sms"), 0, -1) == [young.message_id]
    assert redis_server.client.hkeys(KEYS.records("sms")) == [young.message_id]
    for key in (KEYS.completed("sms"), KEYS.records("sms")):
        assert 0 < redis_server.client.pttl(key) <= 24 * HOUR_MS


def test_a_job_that_was_done_before_is_counted_as_repeated(worker: Worker, redis_server: RedisServer) -> None:
    twice = job()
    worker.run(twice)
    worker.accounts.tell()
    worker.run(twice, took=1.0)
    worker.accounts.tell()

    assert redis_server.client.hget(KEYS.stats("sms"), "repeated") == "1"
    assert redis_server.client.zcard(KEYS.completed("sms")) == 1


def test_no_more_is_gathered_than_is_kept_while_redis_is_away() -> None:
    with EmbeddedRedis(keeps_data=True) as server, emptied(server) as lent:
        worker = Worker(server.url, Retention(completed_most=100))
        server.stop()
        jobs = [job() for _ in range(250)]
        for one in jobs:
            worker.run(one)
            if one is jobs[120]:
                with pytest.raises(redis.ConnectionError):
                    worker.accounts.tell()
        with pytest.raises(redis.ConnectionError):
            worker.accounts.tell()
        server.start()

        worker.accounts.tell()

        kept = lent.client.hkeys(KEYS.records("sms"))
        assert sorted(kept) == sorted(one.message_id for one in jobs[150:])
        assert Views(lent.client).organization("acme") == (OrganizationCounts("sms", done=250),)
        worker.broker.close()


def test_organisations_have_their_own_counts_which_expire(worker: Worker, redis_server: RedisServer) -> None:
    for organization, payload in (("acme", 1), ("acme", 2), ("zeta", 3)):
        sent = worker.broker.enqueue(job(organization, payload))
        worker.broker.enqueue(sent.copy(options={"retries": 1}), delay=1)  # a retry is no new job
        worker.run(sent, error=RuntimeError("no") if payload == 2 else None)
    worker.accounts.tell()

    views = Views(redis_server.client)
    assert views.organization("acme") == (OrganizationCounts("sms", enqueued=2, done=1, failed=1),)
    assert views.organization("zeta") == (OrganizationCounts("sms", enqueued=1, done=1),)
    assert views.organization("acme", days_ago=1) == ()
    assert views.busiest() == (("acme", 2), ("zeta", 1))
    counts = redis_server.client.keys(f"{KEYS.prefix}organization*")
    assert len(counts) == 3
    assert all(redis_server.client.pttl(key) > 0 for key in counts)


def test_dead_letters_go_after_as_long_as_the_workers_were_told(redis_server: RedisServer) -> None:
    seconds, _ = redis_server.client.time()
    for id_, age_hours in (("old", 3), ("young", 1)):
        redis_server.client.zadd(KEYS.dead("sms"), {id_: seconds * 1000 - age_hours * HOUR_MS})
        redis_server.client.hset(KEYS.messages("sms.XQ"), id_, "message")
    worker = Worker(redis_server.url, Retention(dead_for=2 * 3600.0))
    worker.accounts.tell()

    lapsed(redis_server.client, "dramatiq", "pool", lapse_ms=30_000, period_ms=3_000, queues=["sms"])

    assert redis_server.client.zrange(KEYS.dead("sms"), 0, -1) == ["young"]
    assert redis_server.client.hkeys(KEYS.messages("sms.XQ")) == ["young"]
    worker.broker.close()
