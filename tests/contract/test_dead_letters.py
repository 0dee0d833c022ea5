"""Dead letters: looked at, tried anew, deleted. Real Redis; the jobs have died by a real worker, or were put there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from tests.support.job_workers import at_work
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues import CATALOGUE, FixedDelays, JobContext, JobType, Payload, Priority, QueueService, job
from crewcall_worker.queues.dead_letters import DeadLetters, Done
from crewcall_worker.queues.views import Filter, JobState

DEAD, DEAD_MESSAGES = "dramatiq:sms.XQ", "dramatiq:sms.XQ.msgs"


class Send(Payload):
    to: str


class Provider:
    """Fails until it is mended."""

    def __init__(self) -> None:
        self.is_mended = False
        self.attempts: list[int] = []

    def job(self) -> JobType[Send]:
        @job("sms.send", queue="sms", retries=FixedDelays(0.0), priority=Priority.HIGH)
        def send(payload: Send, context: JobContext) -> None:
            self.attempts.append(context.attempt)
            if not self.is_mended:
                raise RuntimeError(f"no way to {payload.to}")

        del CATALOGUE["sms.send"]
        return send


@pytest.fixture
def broker(redis_server: RedisServer) -> Iterator[CrewcallBroker]:
    broker = CrewcallBroker(url=redis_server.url, middleware=[])
    yield broker
    broker.close()


@pytest.fixture
def letters(broker: CrewcallBroker) -> DeadLetters:
    return DeadLetters(broker)


def work_off(server: RedisServer, kind: JobType[Any]) -> None:
    with at_work(server.url, {kind.name: kind}):
        wait_until(lambda: not server.client.exists("dramatiq:sms.msgs", "dramatiq:sms.DQ.msgs"), "the jobs to be over")


def bury(server: RedisServer, id_: str, at_ms: int, **options: Any) -> None:
    """Put a dead letter there."""
    message: dramatiq.Message[None] = dramatiq.Message(
        "sms",
        options.pop("job", "sms.send"),
        (),
        {"payload": options.pop("payload", {"organization_id": "acme", "to": id_})},
        {"redis_message_id": id_, "organization_id": "acme", "retries": 3, **options},
        message_id=id_.partition(".")[0],
    )
    server.client.zadd(DEAD, {id_: at_ms})
    server.client.hset(DEAD_MESSAGES, id_, message.encode().decode())


def test_a_job_that_was_given_up_is_tried_anew_under_its_id_and_from_its_first_try(
    redis_server: RedisServer, letters: DeadLetters
) -> None:
    provider = Provider()
    queues = QueueService.from_environment({"REDIS_URL": redis_server.url})
    receipt = queues.enqueue(provider.job(), Send(organization_id="acme", to="me"))
    queues.shutdown()
    work_off(redis_server, provider.job())
    (letter,) = letters.page("sms").jobs

    provider.is_mended = True
    done = letters.retry("sms", [receipt.id])
    work_off(redis_server, provider.job())

    assert (letter.id, letter.attempt, letter.error) == (receipt.id, 2, "RuntimeError: no way to me")
    assert done == Done(done=(receipt.id,))
    assert provider.attempts == [1, 2, 1]
    assert redis_server.client.exists(DEAD, DEAD_MESSAGES) == 0


def test_what_is_tried_anew_waits_in_its_lane_as_if_it_were_new(
    redis_server: RedisServer, letters: DeadLetters
) -> None:
    bury(redis_server, "a.3", 1, priority=2, death="rejected", error="no", traceback="...", eta=1, trace="kept")

    letters.retry("sms", ["a.3"])

    text = redis_server.client.hget("dramatiq:sms.msgs", "a")
    assert text is not None
    options = json.loads(text)["options"]
    ready_at = options.pop("ready_at")
    assert options == {"organization_id": "acme", "priority": 2, "redis_message_id": "a", "trace": "kept"}
    assert redis_server.client.lrange("crewcall:dramatiq:lane:sms:2:acme", 0, -1) == ["a"]
    assert redis_server.client.zscore("crewcall:dramatiq:waiting:sms", "a") == ready_at


def test_one_is_found_by_the_jobs_id_and_by_that_of_its_last_try(
    redis_server: RedisServer, letters: DeadLetters
) -> None:
    bury(redis_server, "a.3", 7_000, death="rejected", error="Reject: no")

    by_job, by_try = letters.find("sms", "a"), letters.find("sms", "a.3")

    assert by_job == by_try
    assert by_job is not None
    assert (by_job.state, by_job.job, by_job.organization_id) == (JobState.DEAD, "sms.send", "acme")
    assert (by_job.payload, by_job.attempt, by_job.at_ms) == ({"organization_id": "acme", "to": "a.3"}, 4, 7_000)
    assert (by_job.death, by_job.error) == ("rejected", "Reject: no")
    assert letters.find("sms", "b") is None


def test_one_that_is_large_is_shown_whole(redis_server: RedisServer, letters: DeadLetters) -> None:
    bury(redis_server, "a", 1, payload={"organization_id": "acme", "to": "x" * 100_000})

    letter = letters.find("sms", "a")

    assert letter is not None
    assert len(letter.payload["to"]) == 100_000


def test_one_of_a_plain_producer_is_found_and_tried_anew_as_well(
    redis_server: RedisServer, letters: DeadLetters
) -> None:
    plain = RedisBroker(url=redis_server.url, middleware=[])
    message: dramatiq.Message[None] = plain.enqueue(dramatiq.Message("sms", "old", (1,), {}, {"retries": 20}))
    id_ = message.options["redis_message_id"]
    redis_server.client.lpop("dramatiq:sms")
    redis_server.client.hset(DEAD_MESSAGES, id_, redis_server.client.hget("dramatiq:sms.msgs", id_) or "")
    redis_server.client.hdel("dramatiq:sms.msgs", id_)
    redis_server.client.zadd(DEAD, {id_: 1})
    plain.close()

    done = letters.retry("sms", [message.message_id])

    ((new_id, text),) = redis_server.client.hgetall("dramatiq:sms.msgs").items()
    assert done == Done(done=(message.message_id,))
    assert redis_server.client.lrange("dramatiq:sms", 0, -1) == [new_id]
    assert (json.loads(text)["args"], json.loads(text)["message_id"]) == ([1], message.message_id)


def test_all_that_are_alike_are_tried_anew_the_oldest_first(redis_server: RedisServer, letters: DeadLetters) -> None:
    for number in range(250):
        bury(redis_server, f"job{number}", number, error="Timeout" if number % 2 else "Refused", death="rejected")
    bury(redis_server, "other", 300, job="sms.recall", error="Timeout")

    done = letters.retry_all("sms", Filter(job="sms.send", error="timeout"))

    odd = [f"job{number}" for number in range(250) if number % 2]
    assert done == Done(done=tuple(odd))
    assert redis_server.client.lrange("crewcall:dramatiq:lane:sms:1:acme", 0, -1) == odd
    assert redis_server.client.zcard(DEAD) == 126


def test_all_are_tried_anew_once_though_they_die_again_at_once(redis_server: RedisServer, letters: DeadLetters) -> None:
    for number in range(150):
        bury(redis_server, f"job{number}", number)
    kind = Provider().job()
    catalogue: dict[str, JobType[Any]] = {kind.name: kind}

    with at_work(redis_server.url, catalogue, threads=8):
        done = letters.retry_all("sms")
        wait_until(lambda: redis_server.client.zcard(DEAD) == 150, "all of them to be dead again")

    assert len(done.done) == 150
    assert (done.missing, done.unreadable) == ((), ())


def test_those_that_are_no_messages_stay_and_are_named(redis_server: RedisServer, letters: DeadLetters) -> None:
    redis_server.client.zadd(DEAD, {"rubbish": 1})
    redis_server.client.hset(DEAD_MESSAGES, "rubbish", "not JSON")
    bury(redis_server, "a", 2)

    done = letters.retry_all("sms")

    assert done == Done(done=("a",), unreadable=("rubbish",))
    assert redis_server.client.zrange(DEAD, 0, -1) == ["rubbish"]


def test_what_is_not_there_is_named(redis_server: RedisServer, letters: DeadLetters) -> None:
    assert letters.retry("sms", ["a"]) == letters.delete("sms", ["a"]) == Done(missing=("a",))


def test_two_that_retry_at_once_retry_each_of_them_once(redis_server: RedisServer) -> None:
    for number in range(200):
        bury(redis_server, f"job{number}", number)
    done: list[Done] = []

    def retry_all() -> None:
        broker = CrewcallBroker(url=redis_server.url, middleware=[])
        done.append(DeadLetters(broker).retry_all("sms"))
        broker.close()

    threads = [threading.Thread(target=retry_all) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    retried = [id_ for part in done for id_ in part.done]
    assert sorted(retried) == sorted(f"job{number}" for number in range(200))
    assert redis_server.client.hlen("dramatiq:sms.msgs") == 200


def test_who_is_interrupted_has_lost_none(
    redis_server: RedisServer, letters: DeadLetters, broker: CrewcallBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(250):
        bury(redis_server, f"job{number}", number)
    enqueue, calls = broker.outbox.enqueue_many, []

    def interrupted(messages: Any) -> Any:
        calls.append(len(messages))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return enqueue(messages)

    monkeypatch.setattr(broker.outbox, "enqueue_many", interrupted)
    with pytest.raises(KeyboardInterrupt):
        letters.retry_all("sms")

    waiting, dead = redis_server.client.hkeys("dramatiq:sms.msgs"), redis_server.client.zrange(DEAD, 0, -1)
    assert (len(waiting), len(dead)) == (100, 150)
    assert {*waiting, *dead} == {f"job{number}" for number in range(250)}


def test_those_that_are_deleted_are_gone(redis_server: RedisServer, letters: DeadLetters) -> None:
    for number in range(4):
        bury(redis_server, f"job{number}", number, error="Timeout" if number < 3 else "Refused")

    one, more = letters.delete("sms", ["job0"]), letters.delete_all("sms", Filter(error="timeout"))

    assert (one, more) == (Done(done=("job0",)), Done(done=("job1", "job2")))
    assert redis_server.client.zrange(DEAD, 0, -1) == redis_server.client.hkeys(DEAD_MESSAGES) == ["job3"]


def test_a_job_that_has_killed_its_workers_says_so(redis_server: RedisServer, letters: DeadLetters) -> None:
    bury(redis_server, "a", 1, crewcall_dead_reason="Crewcall: 3 workers were killed", error="RuntimeError: earlier")

    letter = letters.find("sms", "a")

    assert letter is not None
    assert (letter.death, letter.error) == ("killed_workers", "Crewcall: 3 workers were killed")


def retry_in_steps(letters: DeadLetters, like: Filter, most: int) -> tuple[int, list[int]]:
    """How many were tried anew, and how many were left after each step."""
    done, left, cursor = 0, [], None
    while True:
        retried = letters.retry_some("sms", like, cursor, most)
        done, cursor = done + retried.done, retried.cursor
        left.append(retried.left)
        if cursor is None:
            return done, left


def test_many_are_tried_anew_in_steps_that_tell_how_far_they_are(
    redis_server: RedisServer, letters: DeadLetters
) -> None:
    for number in range(5):
        bury(redis_server, f"id-{number}", number, error="timeout" if number % 2 else "refused")

    assert retry_in_steps(letters, Filter(error="refused"), 2) == (3, [3, 1, 0])

    assert redis_server.client.zrange(DEAD, 0, -1) == ["id-1", "id-3"]


def test_what_dies_between_two_steps_is_left_alone(redis_server: RedisServer, letters: DeadLetters) -> None:
    for number in range(3):
        bury(redis_server, f"id-{number}", number)
    first = letters.retry_some("sms", cursor=None, most=2)
    bury(redis_server, "later", 2**50)

    second = letters.retry_some("sms", cursor=first.cursor, most=2)

    assert (first.done, second.done, second.cursor) == (2, 1, None)
    assert redis_server.client.zrange(DEAD, 0, -1) == ["later"]


def test_what_cannot_be_tried_anew_keeps_nobody_from_the_end(redis_server: RedisServer, letters: DeadLetters) -> None:
    for number in range(3):
        redis_server.client.zadd(DEAD, {f"odd-{number}": number})
    redis_server.client.hset(DEAD_MESSAGES, "odd-1", "no message")
    bury(redis_server, "id", 9)

    assert retry_in_steps(letters, Filter(), 1) == (1, [3, 2, 1, 0])


def test_no_filter_finds_what_is_not_shown(redis_server: RedisServer, broker: CrewcallBroker) -> None:
    bury(redis_server, "id", 1, error="no way to +15550001")
    letters = DeadLetters(broker, show=lambda view: replace(view, error="no way to •••"))

    assert letters.retry_some("sms", Filter(error="15550001")).done == 0
    assert letters.retry_some("sms", Filter(error="no way")).done == 1


@pytest.mark.parametrize("cursor", ["x", "1", "1/x", "-1/2", "1/2/3"])
def test_a_cursor_that_was_never_told_is_refused(letters: DeadLetters, cursor: str) -> None:
    with pytest.raises(ValueError, match="expected what an earlier answer told"):
        letters.retry_some("sms", cursor=cursor)
