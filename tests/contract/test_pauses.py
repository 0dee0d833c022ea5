"""Pausing a queue: nobody takes from it, nothing is lost, and it goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.test_intake import Hands
from tests.support import jobs
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until
from tests.support.workers import worker

from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues.pauses import Pause, Pauses
from crewcall_worker.scripts import Refused

KEYS = wire.Keys()


@pytest.fixture
def pauses(redis_server: RedisServer) -> Pauses:
    return Pauses(redis_server.client, "dramatiq")


def now_ms(server: RedisServer) -> int:
    seconds, microseconds = server.client.time()
    return int(seconds * 1000 + microseconds // 1000)


def test_tells_who_paused_a_queue_and_when(pauses: Pauses, redis_server: RedisServer) -> None:
    pause = pauses.pause("sms", by="ada", reason="provider is down")
    pauses.pause("email", by="bob")

    assert pause == Pause("sms", "ada", pause.at_ms, "provider is down")
    assert pause.at_ms == pytest.approx(now_ms(redis_server), abs=1_000)
    assert [(found.queue, found.by, found.reason) for found in pauses.list()] == [
        ("email", "bob", ""),
        ("sms", "ada", "provider is down"),
    ]


def test_who_pauses_a_paused_queue_is_told_who_was_first(pauses: Pauses) -> None:
    first = pauses.pause("sms", by="ada")

    assert pauses.pause("sms", by="bob", reason="me too") == first
    assert pauses.list() == [first]


def test_who_resumes_a_queue_is_told_what_this_ends(pauses: Pauses) -> None:
    pause = pauses.pause("sms", by="ada")

    assert pauses.resume("sms", by="bob") == pause
    assert pauses.resume("sms", by="bob") is None
    assert pauses.list() == []


@pytest.mark.parametrize(("queue", "by"), [("", "ada"), ("sms", "")])
def test_nobody_pauses_nothing(pauses: Pauses, queue: str, by: str) -> None:
    with pytest.raises(ValueError, match="expected both to be named"):
        pauses.pause(queue, by=by)

    assert pauses.list() == []


def test_whatever_somebody_wrote_there_the_queue_is_paused_and_may_be_resumed(
    pauses: Pauses, redis_server: RedisServer
) -> None:
    redis_server.client.hset(KEYS.paused, mapping={"sms": "yes", "email": '{"by":7}', "web": "[]"})

    assert pauses.list() == [Pause("email", "", None), Pause("sms", "", None), Pause("web", "", None)]
    assert pauses.resume("sms", by="ada") == Pause("sms", "", None)


def test_from_then_on_no_fetch_takes_anything_whoever_has_not_heard(pauses: Pauses, redis_server: RedisServer) -> None:
    hands = Hands(redis_server)
    ids = hands.send(3)
    pauses.pause("sms", by="ada")

    assert hands.intake.scripts.fetch(hands.intake.worker_id, "sms", 1, 0) is Refused.PAUSED
    assert next(hands.consumer) is None
    assert hands.queued() == ids


def test_what_was_prefetched_goes_back_in_its_order_and_what_runs_ends(redis_server: RedisServer) -> None:
    hands = Hands(redis_server)
    first, *others = hands.send(4)
    hands.take(3)
    run = hands.begin()

    hands.intake.pause(frozenset({"sms"}))

    assert next(hands.consumer) is None
    assert hands.queued() == others
    assert set(hands.consumer.held) == {first} == {run.options["redis_message_id"]}
    hands.consumer.ack(run)
    assert hands.client.hlen(KEYS.messages("sms")) == 3
    hands.intake.pause(frozenset())
    message = next(hands.consumer)
    assert message is not None
    assert message.options["redis_message_id"] == others[0]


def test_a_pause_of_another_queue_is_none_of_this_ones_business(redis_server: RedisServer) -> None:
    hands = Hands(redis_server)
    hands.send(1)

    hands.intake.pause(frozenset({"email", "sms.DQ"}))

    assert next(hands.consumer) is not None


def test_a_worker_that_is_closed_while_a_queue_is_paused_is_idle_and_takes_nothing_when_it_is_resumed(
    redis_server: RedisServer,
) -> None:
    hands = Hands(redis_server)
    ids = hands.send(2)
    hands.take(1)
    hands.intake.pause(frozenset({"sms"}))
    assert next(hands.consumer) is None
    assert not hands.intake.is_idle()  # it is open

    hands.hand_back()
    assert hands.intake.is_idle()
    hands.intake.pause(frozenset())

    assert next(hands.consumer) is None
    assert hands.queued() == ids


def test_a_real_worker_hands_back_what_it_prefetched_and_goes_on_when_it_may(
    redis_server: RedisServer, pauses: Pauses, tmp_path: Path
) -> None:
    client, broker = redis_server.client, CrewcallBroker(url=redis_server.url)
    with worker("crewcall-worker", redis_server, tmp_path, threads=1):
        broker.outbox.enqueue_many([(jobs.hold.message(number), None) for number in range(6)])
        wait_until(
            lambda: client.llen(jobs.BEGUN) == 1 and client.llen(KEYS.ready("sms")) < 5, "another to be prefetched"
        )

        pauses.pause("sms", by="ada")

        wait_until(lambda: client.llen(KEYS.ready("sms")) == 5, "what was prefetched to be back")
        jobs.let_go(client, 6)
        wait_until(lambda: client.hlen(KEYS.messages("sms")) == 5, "the one that ran to be done")
        assert client.llen(KEYS.ready("sms")) == 5

        pauses.resume("sms", by="ada")
        wait_until(lambda: client.llen(jobs.DONE) == 6, "all jobs to be done")
    broker.close()
    assert client.lrange(jobs.BEGUN, 0, -1) == [str(number) for number in range(6)]
