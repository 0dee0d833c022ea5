"""Delayed jobs that somebody would not wait for. Real Redis, real workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from tests.support.job_workers import at_work
from tests.support.redis import RedisServer
from tests.support.snapshots import snapshot
from tests.support.waiting import wait_until

from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues import CATALOGUE, FixedDelays, JobContext, JobType, Payload, QueueService, job
from crewcall_worker.queues.delayed_jobs import DelayedJobs
from crewcall_worker.queues.schedules import Schedules
from crewcall_worker.queues.views import JobState, Views
from crewcall_worker.settings import Settings

KEYS = wire.Keys()
LATER = 3_600.0


class Send(Payload):
    to: str


class Desk:
    """A producer, and whoever hurries its jobs."""

    def __init__(self, server: RedisServer) -> None:
        self.client = server.client
        self.broker = CrewcallBroker(url=server.url, middleware=[])
        self.service = QueueService(Settings(redis_url=server.url))
        self.delayed = DelayedJobs(self.broker)
        self.views = Views(server.client)
        self.ran: list[tuple[str, int]] = []
        self.fails_first = False
        self.send = self._job()

    def put(self, to: str, delay: float = LATER) -> str:
        return self.service.enqueue(self.send, Send(organization_id="acme", to=to), delay=delay).id

    def _job(self) -> JobType[Any]:
        @job("sms.send", queue="sms", retries=FixedDelays(LATER))
        def send(payload: Send, context: JobContext) -> None:
            self.ran.append((payload.to, context.attempt))
            if self.fails_first and context.attempt == 1:
                raise RuntimeError("not yet")

        del CATALOGUE["sms.send"]
        return send


@pytest.fixture
def desk(redis_server: RedisServer) -> Iterator[Desk]:
    desk = Desk(redis_server)
    yield desk
    desk.service.shutdown()
    desk.broker.close()


def test_a_delayed_job_is_as_if_it_had_been_sent_without_a_delay(desk: Desk) -> None:
    id_ = desk.put("ada")

    assert desk.delayed.run_now("sms", id_)

    view = desk.views.find(id_)
    assert view is not None
    assert (view.state, list(view.options)) == (JobState.READY, ["ready_at"])
    assert sorted(snapshot(desk.client)) == [
        KEYS.lane("sms", "1:acme"),
        KEYS.lanes("sms"),
        KEYS.queues,
        KEYS.waiting("sms"),
        KEYS.messages("sms"),
    ]


def test_it_goes_behind_what_waits(desk: Desk) -> None:
    ids = [desk.service.enqueue(desk.send, Send(organization_id="acme", to="bob")).id, desk.put("ada")]

    desk.delayed.run_now("sms", ids[1])

    assert [view.id for view in desk.views.page("sms", JobState.READY).jobs] == ids


def test_a_retry_keeps_its_attempts(desk: Desk, redis_server: RedisServer) -> None:
    desk.fails_first = True
    id_ = desk.put("ada", delay=0)
    with at_work(redis_server.url, {"sms.send": desk.send}):
        wait_until(lambda: desk.client.hexists(KEYS.messages("sms.DQ"), f"{id_}.1"), "the retry")
        assert desk.delayed.run_now("sms", f"{id_}.1")
        wait_until(lambda: len(desk.ran) == 2, "the second try")

    assert desk.ran == [("ada", 1), ("ada", 2)]


def test_one_in_a_workers_memory_runs_once(desk: Desk, redis_server: RedisServer) -> None:
    id_ = desk.put("ada", delay=1.5)
    with at_work(redis_server.url, {"sms.send": desk.send}) as broker:
        acks = KEYS.acks(broker.broker_id, "sms.DQ")
        wait_until(lambda: desk.client.sismember(acks, id_), "the worker to have it in its memory")
        assert desk.delayed.run_now("sms", id_)
        desk.put("bob", delay=1.6)
        wait_until(lambda: ("bob", 1) in desk.ran, "the job after it")

    assert desk.ran == [("ada", 1), ("bob", 1)]


def test_a_plain_producers_message_goes_to_dramatiqs_list(desk: Desk, redis_server: RedisServer) -> None:
    plain = RedisBroker(url=redis_server.url, middleware=[])
    message: dramatiq.Message[None] = dramatiq.Message("sms", "plain", (), {}, {})
    sent = plain.enqueue(message, delay=3_600_000)

    assert desk.delayed.run_now("sms", sent.options["redis_message_id"])

    assert (desk.client.llen("dramatiq:sms"), desk.client.exists("dramatiq:sms.DQ", "dramatiq:sms.DQ.msgs")) == (1, 0)
    plain.close()


def test_only_one_of_two_who_hurry_it_finds_it(desk: Desk) -> None:
    id_ = desk.put("ada")

    assert [desk.delayed.run_now("sms", id_) for _ in range(2)] == [True, False]

    assert desk.client.hlen(KEYS.messages("sms")) == 1


def test_what_is_no_message_stays_where_it_is(desk: Desk) -> None:
    desk.client.hset(KEYS.messages("sms.DQ"), "odd", "{}")

    with pytest.raises(ValueError, match="job odd of queue sms cannot be read"):
        desk.delayed.run_now("sms", "odd")

    assert desk.client.hget(KEYS.messages("sms.DQ"), "odd") == "{}"


def test_a_tick_that_was_run_ahead_leaves_its_schedule_as_it_was(desk: Desk) -> None:
    schedules = Schedules(desk.client)
    schedules.put("yearly", "0 0 1 1 *", desk.send, Send(organization_id="acme", to="all"))
    before = schedules.get("yearly")
    (tick,) = desk.views.page("sms", JobState.DELAYED).jobs

    assert desk.delayed.run_now("sms", tick.message_id)

    assert (schedules.get("yearly"), desk.views.counts("sms").ready) == (before, 1)
