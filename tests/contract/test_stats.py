"""What the jobs of a worker add up to in Redis; real Dramatiq runs them, the clocks are the test's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from uuid import uuid4

import dramatiq
import pytest
import redis
from dramatiq.broker import MessageProxy
from dramatiq.middleware import AgeLimit, Retries, SkipMessage
from tests.support.redis import RedisServer, emptied
from tests.support.waiting import DEADLINE, wait_until

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues.accounts import Accounts
from crewcall_worker.retention import Retention
from crewcall_worker.stats import Stats

KEYS = wire.Keys("dramatiq")


@dataclass
class Time:
    """A clock in seconds that the test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class Counted:
    """A broker whose jobs are counted, with the clocks that they are counted by."""

    broker: CrewcallBroker
    accounts: Accounts
    steady: Time
    redis_clock: Time

    @property
    def stats(self) -> Stats:
        return self.accounts.stats


@pytest.fixture
def counted(redis_server: RedisServer) -> Iterator[Counted]:
    with counting(redis_server.url) as counted:
        yield counted


@contextmanager
def counting(url: str) -> Iterator[Counted]:
    broker = CrewcallBroker(url=url, middleware=[AgeLimit(), Retries(max_retries=0)])
    steady, redis_clock = Time(), Time()
    broker.outbox.clock._steady = redis_clock
    accounts = Accounts(broker, broker.outbox.clock, ["sms"], Retention(), steady)
    accounts.take_part()
    yield Counted(broker, accounts, steady, redis_clock)
    broker.close()


def told(server: RedisServer, queue: str = "sms") -> dict[str, int]:
    counts = {str(field): int(count) for field, count in server.client.hgetall(KEYS.stats(queue)).items()}
    counts.pop("enqueued", None)
    return counts


def work_off(counted: Counted) -> None:
    """A worker runs all that there is."""
    worker = dramatiq.Worker(counted.broker, worker_threads=1, worker_timeout=10)
    worker.start()
    counted.broker.join("sms", interval=10, timeout=10_000)
    worker.join()
    worker.stop()


def fetched(options: dict[str, int]) -> MessageProxy:
    return MessageProxy(dramatiq.Message("sms", "send", (), {}, {"redis_message_id": str(uuid4()), **options}))


def begin(counted: Counted, ready_at: int | None = None) -> MessageProxy:
    options = {} if ready_at is None else {wire.READY_AT: ready_at}
    message = fetched(options)
    counted.broker.emit_before("process_message", message)
    return message


def test_counts_what_becomes_of_jobs(counted: Counted, redis_server: RedisServer) -> None:
    @dramatiq.actor(broker=counted.broker, queue_name="sms")
    def succeed() -> None: ...

    @dramatiq.actor(broker=counted.broker, queue_name="sms")
    def fail() -> None:
        raise RuntimeError("as the test wants it")

    @dramatiq.actor(broker=counted.broker, queue_name="sms", max_retries=1, min_backoff=1, max_backoff=1)
    def fail_twice() -> None:
        raise RuntimeError("as the test wants it")

    for actor in (succeed, succeed, fail, fail_twice):
        actor.send()
    work_off(counted)
    counted.stats.tell()

    counts = told(redis_server)
    assert {name: counts.get(name, 0) for name in ("started", "done", "failed", "retried")} == {
        "started": 5,
        "done": 2,
        "failed": 2,
        "retried": 1,
    }


def test_a_job_that_is_too_old_to_begin_has_failed(counted: Counted, redis_server: RedisServer) -> None:
    @dramatiq.actor(broker=counted.broker, queue_name="sms", max_age=1)
    def send() -> None: ...

    counted.broker.enqueue(dramatiq.Message("sms", "send", (), {}, {}, message_timestamp=1_000))
    work_off(counted)
    counted.stats.tell()

    assert told(redis_server) == {"failed": 1}


def test_a_job_of_an_unknown_actor_has_failed(counted: Counted, redis_server: RedisServer) -> None:
    counted.broker.declare_queue("sms")
    counted.broker.enqueue(dramatiq.Message("sms", "unheard_of", (), {}, {}))
    work_off(counted)
    counted.stats.tell()

    assert told(redis_server) == {"failed": 1}
    assert redis_server.client.zcard(KEYS.dead("sms")) == 1


def test_a_message_that_was_sent_twice_runs_as_two_jobs(counted: Counted, redis_server: RedisServer) -> None:
    message: dramatiq.Message[None] = dramatiq.Message("sms", "send", (), {}, {})
    jobs = [MessageProxy(message.copy(options={"redis_message_id": id_})) for id_ in ("first", "second")]
    for job in jobs:
        counted.broker.emit_before("process_message", job)
    assert counted.stats.running() == {"sms": 2}

    counted.steady.now = 1.0
    for job in jobs:
        counted.broker.emit_after("process_message", job)
    counted.stats.tell()

    assert told(redis_server) == {"started": 2, "busy_ms": 2000, "done": 2}
    assert counted.stats.running() == {"sms": 0}


def test_a_job_that_is_skipped_is_begun_but_has_no_outcome(counted: Counted, redis_server: RedisServer) -> None:
    message = begin(counted)
    counted.broker.emit_after("skip_message", message)
    counted.broker.emit_after("skip_message", fetched({}))
    counted.stats.tell()

    assert told(redis_server) == {"started": 1}


def test_a_job_that_another_middleware_stops_was_never_begun(counted: Counted, redis_server: RedisServer) -> None:
    class Refuse(dramatiq.Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
            del broker, message
            raise SkipMessage

    @dramatiq.actor(broker=counted.broker, queue_name="sms")
    def send() -> None: ...

    counted.broker.add_middleware(Refuse(), before=Retries)
    send.send()
    work_off(counted)
    counted.stats.tell()

    assert told(redis_server) == {}


def test_busy_time_holds_the_part_of_jobs_that_still_run(counted: Counted, redis_server: RedisServer) -> None:
    message = begin(counted)
    for seconds in (0.4, 1.4, 2.0006):
        counted.steady.now = seconds
        counted.stats.tell()
    assert told(redis_server) == {"started": 1, "busy_ms": 2000}

    counted.steady.now = 2.5
    counted.broker.emit_after("process_message", message)
    counted.stats.tell()

    assert told(redis_server) == {"started": 1, "busy_ms": 2500, "done": 1}


def test_the_wait_is_from_ready_at_to_the_start(counted: Counted, redis_server: RedisServer) -> None:
    counted.broker.outbox.clock.set(10_000, asked_at=0.0)
    for wait_ms in (10, 11, 700_000, -5):  # a clock that is a little off makes no wait below zero
        begin(counted, ready_at=10_000 - wait_ms)
    begin(counted)  # a plain producer's
    counted.stats.tell()

    assert told(redis_server) == {
        "started": 5,
        "wait_ms_sum": 700_021,
        "wait_le_10": 2,
        "wait_le_20": 1,
        "wait_le_inf": 1,
    }


def test_a_telling_adds_only_what_is_new_and_nothing_costs_nothing(counted: Counted, redis_server: RedisServer) -> None:
    begin(counted)
    counted.stats.tell()
    counted.stats.tell()
    other = CrewcallBroker(url=redis_server.url)
    others = Stats(other, other.outbox.clock)
    others.tell()
    begin(counted)
    counted.stats.tell()
    other.close()

    assert told(redis_server) == {"started": 2}


def test_what_redis_did_not_hear_is_told_when_it_is_back() -> None:
    with EmbeddedRedis() as server, emptied(server) as lent, counting(server.url) as counted:
        begin(counted)
        server.stop()
        with pytest.raises(redis.ConnectionError):
            counted.stats.tell()
        server.start()

        counted.stats.tell()

        assert told(lent) == {"started": 1}


def test_the_thread_tells_each_second_and_a_last_time_when_it_is_stopped(
    counted: Counted, redis_server: RedisServer
) -> None:
    counted.accounts.start()
    begin(counted)
    wait_until(lambda: told(redis_server) == {"started": 1}, "the count to be told")
    begin(counted)
    counted.accounts.stop()

    assert told(redis_server) == {"started": 2}


def test_begun_jobs_are_counted_as_running_until_they_end(counted: Counted) -> None:
    gate, has_begun = Event(), Event()

    @dramatiq.actor(broker=counted.broker, queue_name="sms")
    def hold() -> None:
        has_begun.set()
        gate.wait(DEADLINE)

    hold.send()
    worker = dramatiq.Worker(counted.broker, worker_threads=1, worker_timeout=10)
    worker.start()
    assert has_begun.wait(DEADLINE)
    assert counted.stats.running() == {"sms": 1}

    gate.set()
    worker.join()
    wait_until(lambda: counted.stats.running() == {"sms": 0}, "the job to end")
    worker.stop()
