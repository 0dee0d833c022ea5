"""Jobs that run for longer than their type expects are told of once, and seen while they run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
from dramatiq.broker import MessageProxy
from tests.support.job_workers import at_work
from tests.support.redis import RedisServer
from tests.support.waiting import DEADLINE, wait_until

from crewcall_worker import wire
from crewcall_worker.job_message import JobMessage
from crewcall_worker.options import TRACE
from crewcall_worker.queues import CATALOGUE, JobContext, JobType, Payload, job
from crewcall_worker.queues.messages import make_message
from crewcall_worker.queues.running import Run
from crewcall_worker.queues.stalled import Stalled

KEYS = wire.Keys()


class Check(Payload):
    page: str = "https://example.com/?token=secret"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    gate = threading.Event()
    yield gate
    gate.set()


def job_type(gate: threading.Event, stalled_after: float) -> JobType[Check]:
    """A job type whose jobs run until the gate is open; it is in no catalogue when the test is over."""

    def check(payload: Check, context: JobContext) -> None:
        gate.wait(DEADLINE)

    made: JobType[Check] = job("stalled.check", queue="rules", stalled_after=stalled_after)(check)
    del CATALOGUE["stalled.check"]
    return made


TRACED = {"traceparent": "00-0af7-b7ad-01"}


def run(job_id: str, queue: str = "rules", began: float = 0.0) -> Run:
    message = JobMessage(queue, "stalled.check", (), {}, {"organization_id": "acme", TRACE: TRACED}, job_id)
    return Run(MessageProxy(message), job_id, queue, began)


def test_a_job_is_told_of_once_when_it_has_taken_too_long_and_counts_while_it_runs(
    gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    kind = job_type(gate, stalled_after=10.0)
    stalled = Stalled({"stalled.check": kind}.get)  # type: ignore[arg-type]  # a catalogue only hands out

    stalled.look([run("a"), run("b", began=5.0)], now=10.0)
    assert (stalled.count, stalled.now(), stalled.totals(), caplog.messages) == (0, {}, {}, [])

    stalled.look([run("a"), run("b", began=5.0)], now=10.1)
    stalled.look([run("a"), run("b", began=5.0)], now=11.0)
    assert caplog.messages == [
        "Job a of stalled.check (queue rules, organisation acme) has been running for 10 s and is taken for stalled"
    ]
    (line,) = caplog.records
    known = {"job": "stalled.check", "job_id": "a", "queue": "rules", "organization": "acme", "trace_id": "0af7"}
    assert {name: vars(line).get(name) for name in known} == known
    assert (stalled.count, stalled.now(), stalled.totals()) == (1, {"rules": 1}, {"rules": 1})

    stalled.look([run("a"), run("b", began=5.0), run("c", "other")], now=20.0)
    assert (stalled.count, stalled.now()) == (3, {"rules": 2, "other": 1})

    stalled.look([], now=30.0)
    assert (stalled.count, stalled.now()) == (0, {"rules": 0, "other": 0})
    assert stalled.totals() == {"rules": 2, "other": 1}


def test_a_plain_actors_job_is_never_stalled() -> None:
    stalled = Stalled(lambda _: None)

    stalled.look([run("a")], now=1e9)

    assert stalled.count == 0


def test_a_worker_tells_how_many_of_its_jobs_are_stalled(
    gate: threading.Event, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    kind = job_type(gate, stalled_after=0.01)

    def told() -> int | None:
        (text,) = redis_server.client.hvals(KEYS.workers("pool"))
        return wire.read_worker("worker", text).stalled

    with at_work(redis_server.url, {kind.name: kind}) as broker:  # type: ignore[dict-item]  # as above
        sent = broker.enqueue(make_message(kind, Check(organization_id="acme")))
        wait_until(lambda: told() == 1, "the worker to tell of it")
        gate.set()
        wait_until(lambda: told() is None, "the worker to tell that it is over")

    assert [text for text in caplog.messages if "is taken for stalled" in text] == [
        f"Job {sent.message_id} of stalled.check (queue rules, organisation acme) has been running for "
        f"{caplog.text.partition('has been running for ')[2].split()[0]} s and is taken for stalled"
    ]
    assert "secret" not in caplog.text
