"""Typed jobs from the application to the worker: enqueued, run, tried again, given up. Real Redis, real Dramatiq."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import SkipMessage
from tests.support.job_workers import at_work
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.job_message import JobMessage
from crewcall_worker.queues import (
    CATALOGUE,
    FixedDelays,
    JobContext,
    JobType,
    Payload,
    QueueService,
    Receipt,
    Reject,
    TryAgain,
    job,
)
from crewcall_worker.queues.actors import declare

NUMBER = "+49 30 1234567"


class Send(Payload):
    to: str


SEND = Send(organization_id="acme", to=NUMBER)
KNOWN_TO = 0.02
"""Seconds: a worker knows Redis's clock but for the way of its quickest answer."""


@dataclass
class Provider:
    """What the job `sms.send` talks to: it notes who calls, and fails as often as the test wants it to."""

    errors: list[BaseException] = field(default_factory=list)
    calls: list[tuple[Send, JobContext]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    def send(self, payload: Send, context: JobContext) -> None:
        self.at.append(time.monotonic())
        self.calls.append((payload, context))
        if self.errors:
            raise self.errors.pop(0)

    @property
    def attempts(self) -> list[int]:
        return [context.attempt for _, context in self.calls]

    def job(self, *delays: float, time_limit: float = 600.0) -> JobType[Send]:
        def send(payload: Send, context: JobContext) -> None:
            self.send(payload, context)

        return made(send, *delays, time_limit=time_limit)


def made(run: Any, *delays: float, time_limit: float = 600.0) -> JobType[Send]:
    """A job type that is in no catalogue."""
    kind: JobType[Send] = job("sms.send", queue="sms", retries=FixedDelays(*delays), time_limit=time_limit)(run)
    del CATALOGUE["sms.send"]
    return kind


def catalogue(*kinds: JobType[Any]) -> dict[str, JobType[Any]]:
    return {kind.name: kind for kind in kinds}


def enqueue(server: RedisServer, kind: JobType[Send]) -> Receipt:
    queues = QueueService.from_environment({"REDIS_URL": server.url})
    receipt = queues.enqueue(kind, SEND)
    queues.shutdown()
    return receipt


def work_off(server: RedisServer, *kinds: JobType[Any]) -> None:
    """A worker on these jobs until there is nothing left, delayed retries included."""
    with at_work(server.url, catalogue(*kinds)):
        wait_until(lambda: not server.client.exists("dramatiq:sms.msgs", "dramatiq:sms.DQ.msgs"), "the jobs to be over")


def dead(server: RedisServer) -> list[dict[str, Any]]:
    return [json.loads(text) for text in server.client.hvals("dramatiq:sms.XQ.msgs")]


def test_a_job_gets_its_payload_and_is_told_what_it_is(redis_server: RedisServer) -> None:
    provider = Provider()

    receipt = enqueue(redis_server, provider.job())
    work_off(redis_server, provider.job())

    context = JobContext(id=receipt.id, name="sms.send", queue="sms", organization_id="acme", attempt=1)
    assert receipt == Receipt(receipt.id)
    assert provider.calls == [(SEND, context)]
    assert dead(redis_server) == []


def test_a_coroutine_is_a_job_too(redis_server: RedisServer) -> None:
    seen = []

    async def send(payload: Send, context: JobContext) -> None:
        await asyncio.sleep(0)
        seen.append(payload)

    kind = made(send)
    enqueue(redis_server, kind)
    work_off(redis_server, kind)

    assert seen == [SEND]


def test_a_job_that_fails_is_tried_again_by_its_schedule_under_the_same_id(redis_server: RedisServer) -> None:
    provider = Provider([RuntimeError("busy"), RuntimeError("busy still")])

    receipt = enqueue(redis_server, provider.job(0.1, 0.2))
    work_off(redis_server, provider.job(0.1, 0.2))

    first, second, third = provider.at
    assert [(context.id, context.attempt) for _, context in provider.calls] == [(receipt.id, n) for n in (1, 2, 3)]
    assert (second - first >= 0.1 - KNOWN_TO, third - second >= 0.2 - KNOWN_TO) == (True, True)
    assert dead(redis_server) == []


def test_a_job_that_was_told_when_to_come_again_does_not_come_earlier(redis_server: RedisServer) -> None:
    provider = Provider([TryAgain("too many requests", after=0.3)])

    enqueue(redis_server, provider.job(0.0))
    work_off(redis_server, provider.job(0.0))

    first, second = provider.at
    assert second - first >= 0.3 - KNOWN_TO


def test_the_last_error_is_stored_whole_with_the_dead_letter(redis_server: RedisServer) -> None:
    provider = Provider([RuntimeError("busy"), ValueError("no such number")])

    receipt = enqueue(redis_server, provider.job(0.0))
    work_off(redis_server, provider.job(0.0))

    (letter,) = dead(redis_server)
    options = letter["options"]
    assert (letter["message_id"], letter["kwargs"]) == (receipt.id, {"payload": SEND.model_dump()})
    assert (options["death"], options["error"]) == ("retries_exhausted", "ValueError: no such number")
    assert (options["retries"], options["organization_id"]) == (1, "acme")
    assert "in send" in options["traceback"]
    assert options["traceback"].rstrip().endswith("ValueError: no such number")


def test_a_rejected_job_is_not_tried_again(redis_server: RedisServer) -> None:
    provider = Provider([Reject("the number is blocked")])

    enqueue(redis_server, provider.job(0.0, 0.0))
    work_off(redis_server, provider.job(0.0, 0.0))

    (letter,) = dead(redis_server)
    assert provider.attempts == [1]
    assert (letter["options"]["death"], letter["options"]["error"]) == ("rejected", "Reject: the number is blocked")


def test_a_payload_that_the_worker_does_not_understand_is_a_dead_letter_that_names_the_field_and_not_the_value(
    redis_server: RedisServer,
) -> None:
    provider = Provider()
    broker = CrewcallBroker(url=redis_server.url, middleware=[])
    payload = {"organization_id": "acme", "to": "me", "carrier": NUMBER}

    broker.enqueue(JobMessage("sms", "sms.send", (), {"payload": payload}, {"organization_id": "acme"}))
    work_off(redis_server, provider.job(0.0))
    broker.close()

    (letter,) = dead(redis_server)
    assert provider.calls == []
    assert letter["options"]["death"] == "invalid_payload"
    assert letter["options"]["error"] == (
        "InvalidPayload: The payload of sms.send is invalid: carrier: Extra inputs are not permitted"
    )
    assert NUMBER not in letter["options"]["traceback"]


def test_a_job_that_the_worker_does_not_know_is_a_dead_letter_with_the_reason(redis_server: RedisServer) -> None:
    broker = CrewcallBroker(url=redis_server.url, middleware=[])

    broker.enqueue(JobMessage("sms", "sms.recall", (), {"payload": {}}, {"organization_id": "acme"}))
    work_off(redis_server, Provider().job())
    broker.close()

    (letter,) = dead(redis_server)
    assert (letter["options"]["death"], letter["options"]["error"]) == (
        "unknown_job",
        "There is no job 'sms.recall' in this worker's modules",
    )


@pytest.mark.parametrize("is_coroutine", [False, True])
def test_a_job_that_takes_too_long_is_ended_and_tried_again(redis_server: RedisServer, is_coroutine: bool) -> None:
    tries = []

    def send(payload: Send, context: JobContext) -> None:
        tries.append(context.attempt)
        deadline = time.monotonic() + 10
        while context.attempt == 1 and time.monotonic() < deadline:
            time.sleep(0.01)

    async def send_later(payload: Send, context: JobContext) -> None:
        tries.append(context.attempt)
        await asyncio.sleep(10 if context.attempt == 1 else 0)

    kind = made(send_later if is_coroutine else send, 0.0, time_limit=0.2)
    enqueue(redis_server, kind)
    work_off(redis_server, kind)

    assert tries == [1, 2]


def test_a_coroutine_that_takes_too_long_dies_of_that(redis_server: RedisServer) -> None:
    async def send(payload: Send, context: JobContext) -> None:
        await asyncio.sleep(10)

    kind = made(send, time_limit=0.1)
    enqueue(redis_server, kind)
    work_off(redis_server, kind)

    (letter,) = dead(redis_server)
    assert letter["options"]["error"] == "TimeLimitExceeded: it ran longer than 0.1 s"


def test_a_coroutine_whose_own_wait_runs_out_dies_of_its_own_error(redis_server: RedisServer) -> None:
    async def send(payload: Send, context: JobContext) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(10)

    kind = made(send)
    enqueue(redis_server, kind)
    work_off(redis_server, kind)

    (letter,) = dead(redis_server)
    assert letter["options"]["error"] == "TimeoutError: "


def test_a_job_whose_policy_fails_is_a_dead_letter_and_not_lost(redis_server: RedisServer) -> None:
    class Broken:
        def delay(self, failures: int, chance: float) -> float:
            return 1 / (failures - 1)

    kind = replace(Provider([RuntimeError("busy")]).job(), retries=Broken())
    enqueue(redis_server, kind)
    work_off(redis_server, kind)

    (letter,) = dead(redis_server)
    assert (letter["options"]["death"], letter["options"]["error"]) == ("policy_failed", "RuntimeError: busy")


@pytest.mark.parametrize("delay", [float("inf"), float("nan"), -1.0, 1e12, "30"])
def test_a_policy_that_tells_no_delay_makes_a_dead_letter_with_the_reason(
    redis_server: RedisServer, delay: Any
) -> None:
    class Odd:
        def delay(self, failures: int, chance: float) -> Any:
            return delay

    kind = replace(Provider([RuntimeError("busy")]).job(), retries=Odd())
    enqueue(redis_server, kind)
    work_off(redis_server, kind)

    (letter,) = dead(redis_server)
    assert (letter["options"]["death"], letter["options"]["error"]) == ("policy_failed", "RuntimeError: busy")


def test_a_job_whose_error_cannot_be_told_is_tried_again_and_then_a_dead_letter(redis_server: RedisServer) -> None:
    class Nasty(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    provider = Provider([Nasty(), Nasty()])
    enqueue(redis_server, provider.job(0.0))
    work_off(redis_server, provider.job(0.0))

    (letter,) = dead(redis_server)
    assert provider.attempts == [1, 2]
    assert (letter["options"]["death"], letter["options"]["error"]) == (
        "retries_exhausted",
        "Nasty: <exception str() failed>",
    )


def test_half_a_character_in_an_error_is_told_in_letters(redis_server: RedisServer) -> None:
    provider = Provider([ValueError("bad \ud800 text")])
    enqueue(redis_server, provider.job())
    work_off(redis_server, provider.job())

    (letter,) = dead(redis_server)
    assert letter["options"]["error"] == r"ValueError: bad \ud800 text"
    letter["options"]["traceback"].encode()


def test_a_job_that_would_skip_itself_is_a_dead_letter_and_not_silently_gone(redis_server: RedisServer) -> None:
    provider = Provider([SkipMessage("not today")])
    enqueue(redis_server, provider.job(0.0))
    work_off(redis_server, provider.job(0.0))

    (letter,) = dead(redis_server)
    assert provider.attempts == [1]
    assert (letter["options"]["death"], letter["options"]["error"]) == (
        "rejected",
        "Reject: It raised Dramatiq's SkipMessage; a job with nothing to do returns",
    )


def test_nothing_of_what_a_job_carries_gets_into_the_log(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider([RuntimeError("busy"), RuntimeError("busy")])
    caplog.set_level(logging.DEBUG)

    receipt = enqueue(redis_server, provider.job(0.0))
    work_off(redis_server, provider.job(0.0))

    assert receipt.id in caplog.text
    assert "is a dead letter after 2 tries (retries_exhausted): RuntimeError" in caplog.text
    assert NUMBER not in caplog.text


def test_plain_actors_beside_typed_jobs_are_tried_again_as_dramatiq_does(redis_server: RedisServer) -> None:
    provider, tries = Provider(), []
    kind = provider.job()
    with at_work(redis_server.url, catalogue(kind)) as broker:

        @dramatiq.actor(queue_name="sms", broker=broker, max_retries=1, min_backoff=10, max_backoff=10)
        def plain() -> None:
            tries.append(1)
            raise RuntimeError("as the test wants it")

        plain.send()
        wait_until(lambda: dead(redis_server), "the plain job to be given up")

    (letter,) = dead(redis_server)
    assert len(tries) == 2
    assert letter["options"]["retries"] == 2
    assert "as the test wants it" in letter["options"]["traceback"]


def test_a_broker_that_retries_nothing_retries_typed_jobs_alone(redis_server: RedisServer) -> None:
    broker = RedisBroker(url=redis_server.url, middleware=[])
    kind = Provider().job()

    declare(broker, catalogue(kind))
    declare(broker, catalogue(kind))
    broker.close()

    assert list(broker.actors) == ["sms.send"]
    assert [type(one).__name__ for one in broker.middleware] == ["TimeLimit", "JobRetries", "_Current"]


def test_a_job_type_with_the_name_of_a_plain_actor_is_told_of(redis_server: RedisServer) -> None:
    broker = RedisBroker(url=redis_server.url, middleware=[])
    kind = Provider().job()
    dramatiq.actor(actor_name="sms.send", queue_name="sms", broker=broker)(lambda: None)

    with pytest.raises(ValueError, match=r"'sms.send' is a job type and a plain actor; rename one of them"):
        declare(broker, catalogue(kind))
    broker.close()
