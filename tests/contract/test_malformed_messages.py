"""What is no message, or a broken one: it becomes a dead letter with a reason, and the queue goes on. Real workers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.job_workers import at_work
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues import CATALOGUE, FixedDelays, JobContext, JobType, Payload, QueueService, RateLimit, job
from crewcall_worker.queues.dead_letters import DeadLetters

MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "options null": ({"options": None}, "its options is null; expected an object"),
    "options a list": ({"options": []}, "its options is list; expected an object"),
    "options a text": ({"options": "organization_id"}, "its options is str; expected an object"),
    "kwargs null": ({"kwargs": None}, "its kwargs is null; expected an object"),
    "kwargs a list": ({"kwargs": [1]}, "its kwargs is list; expected an object"),
    "no actor": ({"actor_name": None}, "its actor_name is null; expected a text"),
    "an actor that is a list": ({"actor_name": ["x"]}, "its actor_name is list; expected a text"),
    "no queue": ({"queue_name": None}, "its queue_name is null; expected a text"),
    "no id": ({"message_id": None}, "its message_id is null; expected a text"),
    "no time": ({"message_timestamp": "now"}, "its message_timestamp is str; expected a number"),
    "no ETA": ({"options": {"eta": "soon"}}, "its eta is str; expected a number"),
    **{
        f"{name} of {time}": (
            {"options": {"eta": time}} if name == "eta" else {"message_timestamp": time},
            f"its {name} is no time that a clock could show; expected a number of ms",
        )
        for name in ("eta", "message_timestamp")
        for time in (float("inf"), float("nan"), 1e300, 10**400)
    },
    **{
        f"half a character in {name}": (
            {"options": {name: "\ud800"}} if name in ("organization_id", "rate_key") else {name: "\ud800"},
            f"its {name} has half a character, which no key of Redis can hold",
        )
        for name in ("queue_name", "actor_name", "message_id", "organization_id", "rate_key")
    },
    "nobody's organisation": (
        {"options": {"organization_id": 5}},
        "its organization_id is 5; expected a text that is not empty",
    ),
    "a priority that is none": (
        {"options": {"priority": 12}},
        "its priority is 12; expected a whole number from 0 to 9",
    ),
}


class Send(Payload):
    to: str


def a_job(ran: list[str]) -> JobType[Send]:
    @job("sms.send", queue="sms", retries=FixedDelays(0.0), rate=RateLimit(limit=1_000))
    def send(payload: Send, context: JobContext) -> None:
        del context
        ran.append(payload.to)

    del CATALOGUE["sms.send"]
    return send


def message(to: str = "Ada", queue: str = "sms", **fields: object) -> str:
    payload = {"organization_id": "acme", "to": to}
    return json.dumps(
        {
            "queue_name": queue,
            "actor_name": "sms.send",
            "args": [],
            "kwargs": {"payload": payload},
            "options": {"organization_id": "acme"},
            "message_id": "m",
            "message_timestamp": 1,
            **fields,
        }
    )


def put(server: RedisServer, queue: str, id_: str, text: str | bytes) -> None:
    server.client.sadd("crewcall:dramatiq:queues", "sms")
    server.client.hset(f"dramatiq:{queue}.msgs", id_, text)
    server.client.rpush(f"dramatiq:{queue}", id_)


def work(server: RedisServer, ran: list[str], expected: list[str]) -> None:
    kind: JobType[Any] = a_job(ran)
    queues = QueueService.from_environment({"REDIS_URL": server.url})
    with at_work(server.url, {kind.name: kind}, threads=1):
        queues.enqueue(kind, Send(organization_id="acme", to="Grace"))
        queues.enqueue(kind, Send(organization_id="acme", to="Alan"), delay=0.1)
        wait_until(lambda: sorted(ran) == sorted(expected), "the good jobs to run")
    queues.shutdown()


@pytest.mark.parametrize("suffix", ["", ".DQ"])
def test_malformed_messages_are_dead_letters_at_once_and_the_queue_goes_on(
    redis_server: RedisServer, suffix: str
) -> None:
    texts = {name: message(queue=f"sms{suffix}", **fields) for name, (fields, _) in MALFORMED.items()}
    for name, text in texts.items():
        put(redis_server, f"sms{suffix}", name, text)

    work(redis_server, [], ["Grace", "Alan"])

    broker = CrewcallBroker(url=redis_server.url, middleware=[])
    letters = DeadLetters(broker).page("sms").jobs
    broker.close()
    assert {(letter.message_id, letter.death, letter.error) for letter in letters} == {
        (name, "unreadable", f"it is no message: {reason}") for name, (_, reason) in MALFORMED.items()
    }
    assert redis_server.client.hgetall("dramatiq:sms.XQ.msgs") == texts
    assert redis_server.client.exists("dramatiq:sms.msgs", "dramatiq:sms.DQ.msgs") == 0


def test_a_dead_letter_that_is_no_message_says_so(redis_server: RedisServer) -> None:
    put(redis_server, "sms", "bad", b"\x00\xff")

    work(redis_server, [], ["Grace", "Alan"])

    broker = CrewcallBroker(url=redis_server.url, middleware=[])
    letter = DeadLetters(broker).find("sms", "bad")
    broker.close()
    assert letter is not None
    assert (letter.death, letter.error) == ("unreadable", "it is no message (DecodeError)")


@pytest.mark.parametrize("suffix", ["", ".DQ"])
def test_a_message_of_a_renamed_list_runs_where_it_is_found(redis_server: RedisServer, suffix: str) -> None:
    options = {"organization_id": "acme", "eta": 1}
    put(redis_server, f"sms{suffix}", "moved", message(queue=f"before{suffix}", options=options))

    work(redis_server, [], ["Ada", "Grace", "Alan"])

    assert redis_server.client.exists("dramatiq:sms.msgs", "dramatiq:sms.DQ.msgs", "dramatiq:sms.XQ") == 0


def test_options_that_only_an_enqueue_may_have_do_nothing(redis_server: RedisServer) -> None:
    options = {
        "organization_id": "acme",
        "eta": 1,
        "crewcall_promotion": ["a"],
        "crewcall_revival": 5,
        "dedupe_key": 7,
        "rate_turn": "x",
    }
    put(redis_server, "sms.DQ", "odd", message(queue="sms.DQ", options=options))

    work(redis_server, [], ["Ada", "Grace", "Alan"])

    assert redis_server.client.exists("dramatiq:sms.msgs", "dramatiq:sms.DQ.msgs", "dramatiq:sms.XQ") == 0
