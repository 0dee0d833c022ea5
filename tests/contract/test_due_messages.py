"""Delayed messages that are due: by Redis's clock, many in one step, and then their lanes take turns. Real Redis."""

from __future__ import annotations

import time
from typing import Any

import pytest
from dramatiq import Message
from dramatiq.worker import ConsumerThread
from tests.contract.test_intake import Hands
from tests.support.job_workers import at_work
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from crewcall_worker.delayed import DueMessages
from crewcall_worker.outbox import Outbox
from crewcall_worker.queues import CATALOGUE, FixedDelays, JobContext, JobType, Payload, QueueService, RateLimit, job
from crewcall_worker.wire import Keys

KEYS = Keys()


class Send(Payload):
    to: str


def jobs_that_note(server: RedisServer, ran: dict[str, float]) -> dict[str, JobType[Any]]:
    """They note when they ran, by Redis's clock. One fails at its first try, one has a rate limit."""

    @job("sms.send", queue="sms", retries=FixedDelays(1.0))
    def send(payload: Send, context: JobContext) -> None:
        ran[f"{payload.to} {context.attempt}"] = now(server)
        if payload.to == "fails" and context.attempt == 1:
            raise RuntimeError("once")

    @job("sms.rated", queue="rated", rate=RateLimit(limit=1, period=1.0))
    def rated(payload: Send, context: JobContext) -> None:
        del context
        ran[payload.to] = now(server)

    kinds: dict[str, JobType[Any]] = {kind.name: kind for kind in (send, rated)}
    for name in kinds:
        del CATALOGUE[name]
    return kinds


def now(server: RedisServer) -> float:
    seconds, microseconds = server.client.time()
    return float(seconds + microseconds / 1_000_000)


@pytest.mark.parametrize("skew", [-60.0, 60.0])
def test_delays_retries_and_turns_are_by_redis_clock_whatever_the_workers_says(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, skew: float
) -> None:
    ran: dict[str, float] = {}
    kinds = jobs_that_note(redis_server, ran)
    queues = QueueService.from_environment({"REDIS_URL": redis_server.url})
    began = now(redis_server)
    queues.enqueue(kinds["sms.send"], Send(organization_id="acme", to="late"), delay=2.0)
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + skew)
    queues.enqueue(kinds["sms.send"], Send(organization_id="acme", to="fails"))
    for to in ("first", "second"):
        queues.enqueue(kinds["sms.rated"], Send(organization_id="acme", to=to))

    with at_work(redis_server.url, kinds):
        wait_until(lambda: {"late 1", "fails 2", "second"} <= set(ran), "all to run")
    queues.shutdown()

    assert 2.0 <= ran["late 1"] - began < 10.0
    assert 1.0 <= ran["fails 2"] - ran["fails 1"] < 10.0
    assert 0.5 <= abs(ran["second"] - ran["first"]) < 10.0
    assert int(redis_server.client.hget(KEYS.stats("rated"), "postponed") or 0) <= 2


def test_many_that_are_due_are_promoted_in_few_steps_and_their_lanes_take_turns(redis_server: RedisServer) -> None:
    hands = Hands(redis_server)
    outbox = Outbox(hands.broker)
    outbox.take_part()
    for number in range(600):
        organization = "a" if number < 599 else "b"
        outbox.enqueue(Message("sms", "job0", (), {}, {"organization_id": organization}, str(number)), delay=0)
    later = outbox.enqueue(Message("sms", "job0", (), {}, {}), delay=60_000)
    thread = hands.worker.consumers["sms.DQ"] = ConsumerThread(
        broker=hands.broker, queue_name="sms.DQ", prefetch=1_000, work_queue=hands.worker.work_queue, worker_timeout=1
    )
    thread.consumer = consumer = hands.intake.consume("sms.DQ", 1_000, 1)
    DueMessages(outbox).after_consumer_thread_boot(hands.broker, thread)
    for _ in range(601):
        message = next(consumer)
        assert message is not None
        thread.handle_message(message)

    redis_server.client.config_resetstat()
    thread.handle_delayed_messages()

    assert redis_server.client.info("commandstats")["cmdstat_evalsha"]["calls"] == 2
    assert redis_server.client.lrange(KEYS.lane("sms", "1:a"), 0, -1) == [str(number) for number in range(599)]
    assert redis_server.client.zrange(KEYS.lanes("sms"), 0, -1) == ["1:a", "1:b"]
    assert set(consumer.held) == {later.options["redis_message_id"]}
    assert redis_server.client.hkeys(KEYS.messages("sms.DQ")) == list(consumer.held)
    assert thread.delay_queue.unfinished_tasks == 1
