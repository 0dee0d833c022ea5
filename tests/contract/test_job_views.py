"""What people see of a queue: its jobs by state, page by page, and one job by its id. Real Redis, a real worker."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from dramatiq.brokers.redis import RedisBroker
from dramatiq.message import Message
from tests.support.job_workers import at_work
from tests.support.redis import RedisServer
from tests.support.waiting import DEADLINE, wait_until

from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.job_message import JobMessage
from crewcall_worker.queues import CATALOGUE, FixedDelays, JobContext, JobType, Payload, Priority, Reject, job
from crewcall_worker.queues.counts import QueueCounts
from crewcall_worker.queues.job_view import DEEPEST
from crewcall_worker.queues.limits import OrganizationLimits
from crewcall_worker.queues.messages import make_message
from crewcall_worker.queues.views import Filter, JobState, JobView, LaneView, Page, Views

KEYS = wire.Keys()


class Send(Payload):
    to: str


def job_type(run: Any, *delays: float) -> JobType[Send]:
    """A job type that is in no catalogue when the test is over."""

    def send(payload: Send, context: JobContext) -> None:
        run(payload, context)

    made: JobType[Send] = job("views.send", queue="sms", retries=FixedDelays(*delays))(send)
    del CATALOGUE["views.send"]
    return made


def catalogue(kind: JobType[Send]) -> dict[str, JobType[Payload]]:
    return {kind.name: kind}  # type: ignore[dict-item]  # invariant in its payload, but a catalogue only hands out


SEND = job_type(lambda payload, context: None)


@pytest.fixture
def broker(redis_server: RedisServer) -> Iterator[CrewcallBroker]:
    broker = CrewcallBroker(url=redis_server.url, middleware=[])
    yield broker
    broker.close()


@pytest.fixture
def views(redis_server: RedisServer) -> Views:
    return Views(redis_server.client)


def send(
    broker: RedisBroker, to: str = "a", organization: str = "acme", priority: Priority | None = None, **options: Any
) -> Message[Any]:
    delay = options.pop("delay", None)
    message = make_message(SEND, Send(organization_id=organization, to=to), priority=priority)
    return broker.enqueue(message.copy(options=options), delay=delay)


def told(jobs: tuple[JobView, ...]) -> list[str]:
    """Whom they are to."""
    return [view.payload["to"] for view in jobs]


def every_page(views: Views, state: JobState, limit: int, **options: Any) -> list[Page]:
    pages = [views.page("sms", state, limit=limit, **options)]
    while pages[-1].cursor is not None:
        pages.append(views.page("sms", state, limit=limit, cursor=pages[-1].cursor, **options))
        assert len(pages) < 1_000
    return pages


def test_a_ready_job_shows_what_it_is(broker: CrewcallBroker, views: Views) -> None:
    sent = send(broker, "+49", priority=Priority.HIGH)

    (view,) = views.page("sms", JobState.READY).jobs

    assert view == JobView(
        id=sent.message_id,
        message_id=sent.message_id,
        state=JobState.READY,
        queue="sms",
        job="views.send",
        organization_id="acme",
        priority=0,
        attempt=1,
        payload={"organization_id": "acme", "to": "+49"},
        enqueued_ms=sent.message_timestamp,
        at_ms=sent.options["ready_at"],
    )
    assert views.find(sent.message_id) == views.find(sent.message_id, "sms") == view


def test_the_head_comes_before_what_waits_in_lanes_and_pages_follow_on_each_other(
    broker: CrewcallBroker, views: Views, redis_server: RedisServer
) -> None:
    for number in range(5):
        broker.enqueue(Message("sms", "send", (number,), {}, {}))
    for number in range(5, 12):
        send(broker, str(number), organization=f"org-{number % 3}")

    for limit in (1, 3, 5, 200):
        pages = every_page(views, JobState.READY, limit)
        jobs = [view for page in pages for view in page.jobs]
        assert [view.payload["args"] for view in jobs[:5]] == [[number] for number in range(5)]
        assert sorted(told(tuple(jobs[5:])), key=int) == [str(number) for number in range(5, 12)]
        assert max(len(page.jobs) for page in pages) <= limit


def test_ready_jobs_of_one_organisation_are_read_from_its_lanes_alone(broker: CrewcallBroker, views: Views) -> None:
    for number in range(30):
        send(broker, str(number), organization="big")
    send(broker, "low", organization="small", priority=Priority.LOW)
    send(broker, "high", organization="small", priority=Priority.HIGH)

    pages = every_page(views, JobState.READY, 1, like=Filter(organization_id="small"))

    assert [told(page.jobs) for page in pages if page.jobs] == [["high"], ["low"]]
    assert views.lanes("sms") == (LaneView(0, "small", 1), LaneView(1, "big", 30), LaneView(2, "small", 1))


def test_lanes_at_their_organisations_limit_come_last_and_are_told_apart(
    broker: CrewcallBroker, views: Views, redis_server: RedisServer
) -> None:
    OrganizationLimits(redis_server.client, "dramatiq").set("sms", "big", 1)
    for organization in ("big", "big", "small"):
        send(broker, organization=organization)
    redis_server.client.sadd(KEYS.taken("sms", "big"), "in flight")
    send(broker, organization="big")

    everything = (LaneView(1, "small", 1), LaneView(1, "big", 3, is_limited=True))
    assert views.lanes("sms") == everything
    assert [views.lanes("sms", first, 1) for first in range(3)] == [everything[:1], everything[1:], ()]
    assert len(views.page("sms", JobState.READY).jobs) == 4


def test_delayed_jobs_are_in_the_order_of_their_etas(broker: CrewcallBroker, views: Views) -> None:
    for delay in (300_000, 100_000, 200_000):
        send(broker, str(delay), delay=delay)

    pages = every_page(views, JobState.DELAYED, 2)

    assert [told(page.jobs) for page in pages] == [["100000", "200000"], ["300000"]]
    assert [view.state for view in pages[0].jobs] == [JobState.DELAYED] * 2
    assert pages[0].jobs[0].at_ms is not None


def test_pages_of_dead_jobs_skip_and_repeat_nothing_while_others_die(
    broker: CrewcallBroker, views: Views, redis_server: RedisServer
) -> None:
    def die(number: int, at_ms: int) -> None:
        message = make_message(SEND, Send(organization_id="acme", to=str(number)))
        redis_server.client.zadd(KEYS.dead("sms"), {message.message_id: at_ms})
        redis_server.client.hset(KEYS.messages("sms.XQ"), message.message_id, message.encode())

    for number in range(10):
        die(number, at_ms=1_000 + number // 4)  # several in one millisecond

    first = views.page("sms", JobState.DEAD, limit=4)
    die(99, at_ms=2_000)
    second = views.page("sms", JobState.DEAD, limit=4, cursor=first.cursor)
    redis_server.client.zrem(KEYS.dead("sms"), second.jobs[-1].message_id)
    third = views.page("sms", JobState.DEAD, limit=200, cursor=second.cursor)

    seen = told(first.jobs) + told(second.jobs) + told(third.jobs)
    assert set(seen) == {str(number) for number in range(10)}
    assert len(told(first.jobs) + told(second.jobs)) == len(set(told(first.jobs) + told(second.jobs)))


def test_filters_go_by_job_organisation_and_error(
    broker: CrewcallBroker, views: Views, redis_server: RedisServer
) -> None:
    for number in range(20):
        message = make_message(SEND, Send(organization_id=f"org-{number % 2}", to=str(number)))
        message = message.copy(options={"error": f"TimeoutError: no answer {number}", "death": "retries_exhausted"})
        redis_server.client.zadd(KEYS.dead("sms"), {message.message_id: number})
        redis_server.client.hset(KEYS.messages("sms.XQ"), message.message_id, message.encode())

    def found(**like: Any) -> list[str]:
        return told(views.page("sms", JobState.DEAD, like=Filter(**like)).jobs)

    assert found(error="ANSWER 7") == ["7"]
    assert found(error="retries_exhausted", organization_id="org-1") == [str(number) for number in range(19, 0, -2)]
    assert found(job="views.other") == []
    pages = every_page(views, JobState.DEAD, 3, like=Filter(organization_id="org-0"))
    assert [to for page in pages for to in told(page.jobs)] == [str(number) for number in range(18, -2, -2)]


def test_a_filter_that_takes_little_ends_its_page_after_250_jobs(
    broker: CrewcallBroker, views: Views, redis_server: RedisServer
) -> None:
    message = make_message(SEND, Send(organization_id="acme", to="x")).encode()
    with redis_server.client.pipeline() as pipeline:
        for number in range(400):
            pipeline.zadd(KEYS.dead("sms"), {str(number): number})
            pipeline.hset(KEYS.messages("sms.XQ"), str(number), message)
        pipeline.execute()

    pages = every_page(views, JobState.DEAD, 50, like=Filter(organization_id="nobody"))

    assert [page.jobs for page in pages] == [(), ()]


def test_a_page_costs_redis_a_page_whatever_the_queue_holds(
    broker: CrewcallBroker, views: Views, redis_server: RedisServer
) -> None:
    for number in range(300):
        send(broker, str(number))

    def commands() -> int:
        return int(redis_server.client.info("stats")["total_commands_processed"])

    views.page("sms", JobState.READY, limit=10)
    before = commands()
    views.page("sms", JobState.READY, limit=10)

    assert commands() - before < 40
    used = {name.removeprefix("cmdstat_") for name in redis_server.client.info("commandstats")}
    assert used.isdisjoint({"keys", "scan", "hscan", "zscan", "sscan", "hgetall"})


def test_a_running_a_completed_and_a_dead_job_are_seen_where_they_are(views: Views, redis_server: RedisServer) -> None:
    gate = threading.Event()

    def run(payload: Send, context: JobContext) -> None:
        if payload.to == "hold":
            gate.wait(DEADLINE)
        elif payload.to == "reject":
            raise Reject("no such number")
        elif context.attempt == 1:
            raise RuntimeError("try again")

    kind = job_type(run, 0.0)
    with at_work(redis_server.url, catalogue(kind)) as broker:
        held, rejected, retried = (send(broker, to) for to in ("hold", "reject", "retry"))
        wait_until(lambda: views.page("sms", JobState.RUNNING).jobs, "the held job to be told of")
        wait_until(lambda: views.page("sms", JobState.COMPLETED).jobs, "the retried job to be done")

        (running,) = views.page("sms", JobState.RUNNING).jobs
        assert (running.id, running.worker, running.payload) == (
            held.message_id,
            broker.broker_id,
            {"organization_id": "acme", "to": "hold"},
        )
        assert running.at_ms is not None
        assert views.find(held.message_id) == running
        (done,) = views.page("sms", JobState.COMPLETED).jobs
        assert (done.id, done.attempt, done.error) == (retried.message_id, 2, "RuntimeError: try again")
        assert done.took_ms is not None
        assert views.find(retried.message_id) == done
        (dead,) = views.page("sms", JobState.DEAD).jobs
        assert (dead.id, dead.death, dead.error) == (rejected.message_id, "rejected", "Reject: no such number")
        assert dead.traceback is not None
        assert views.find(rejected.message_id) == dead
        assert views.counts("sms") == QueueCounts("sms", 0, 1, 1, 0, 0, 1, 1, is_paused=False)

        gate.set()
        wait_until(lambda: not views.page("sms", JobState.RUNNING).jobs, "the held job to be gone")
    assert redis_server.client.exists(KEYS.running("sms"), KEYS.runners("sms")) == 0


@pytest.mark.parametrize("retry", [31, 250, 999])
def test_a_job_of_many_retries_is_found_as_well(broker: CrewcallBroker, views: Views, retry: int) -> None:
    first = make_message(SEND, Send(organization_id="acme", to="a"))
    broker.enqueue(first.copy(options={"retries": retry}), delay=60_000)

    view = views.find(first.message_id)

    assert view is not None
    assert (view.state, view.id, view.attempt) == (JobState.DELAYED, first.message_id, retry + 1)


def test_a_retry_that_waits_is_found_by_the_jobs_id(broker: CrewcallBroker, views: Views) -> None:
    first = make_message(SEND, Send(organization_id="acme", to="a"))
    sent = broker.enqueue(first.copy(options={"retries": 2}), delay=60_000)

    found = views.find(first.message_id)

    assert found is not None
    assert (found.state, found.attempt, found.message_id) == (JobState.DELAYED, 3, f"{first.message_id}.2")
    assert found.at_ms == sent.options["eta"]


def test_a_job_that_a_worker_has_not_begun_is_fetched(
    broker: CrewcallBroker, views: Views, redis_server: RedisServer
) -> None:
    sent = send(broker)
    redis_server.client.delete(KEYS.waiting("sms"), KEYS.lane("sms", "1:acme"), KEYS.lanes("sms"))

    found = views.find(sent.message_id)

    assert found is not None
    assert found.state is JobState.FETCHED
    assert views.counts("sms").in_flight == 1


def test_what_nobody_knows_is_not_found(views: Views) -> None:
    assert views.find("nothing") is None
    assert views.page("sms", JobState.READY) == Page((), None)
    assert views.queues() == ()


def test_a_plain_producers_job_is_seen_as_well(views: Views, redis_server: RedisServer) -> None:
    plain = RedisBroker(url=redis_server.url)
    sent = plain.enqueue(Message("sms", "send", (1,), {"to": "x"}, {}))
    plain.enqueue(sent, delay=60_000)
    plain.close()

    (view,) = views.page("sms", JobState.READY).jobs

    assert (view.job, view.organization_id, view.payload) == ("send", None, {"args": [1], "kwargs": {"to": "x"}})
    counts = views.counts("sms")
    assert (counts.ready, counts.delayed, counts.delayed_unlisted) == (1, 1, 1)


NO_MESSAGE = {
    "queue_name": "sms",
    "actor_name": "a",
    "args": 1,
    "kwargs": [],
    "options": [],
    "message_id": "1",
    "message_timestamp": 1,
}


@pytest.mark.parametrize(
    "text", ["no message", "x" * 70_000, '{"queue_name": "sms"}', "[]", "[" * 20_000, json.dumps(NO_MESSAGE)]
)
def test_a_text_that_cannot_be_shown_is_told_of_all_the_same(
    views: Views, redis_server: RedisServer, text: str
) -> None:
    redis_server.client.rpush(KEYS.ready("sms"), "1")
    redis_server.client.hset(KEYS.messages("sms"), "1", text)

    (view,) = views.page("sms", JobState.READY).jobs

    assert view == JobView("1", "1", JobState.READY, "sms", is_cut=True)


def test_what_no_application_would_send_is_shown_as_far_as_it_can_be(views: Views, redis_server: RedisServer) -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"deeper": deep}
    message: Message[None] = Message("sms", "send", (), {"half": "\ud800", "deep": deep}, {"error": "\udfff"}, "1")
    redis_server.client.rpush(KEYS.ready("sms"), "1")
    redis_server.client.hset(KEYS.messages("sms"), "1", message.encode().decode())

    (view,) = views.page("sms", JobState.READY).jobs

    assert (view.payload["kwargs"]["half"], view.error) == ("?", r"\udfff")
    assert json.dumps(view.payload["kwargs"]["deep"]).count("deeper") == DEEPEST - 2


def test_looking_changes_nothing_and_is_allowed_to_a_reader(redis_server: RedisServer, broker: CrewcallBroker) -> None:
    send(broker)
    for name, arguments in (("page", ("dramatiq", "sms", "ready", "", "5", "")), ("find", ("dramatiq", "x", "0", "3"))):
        redis_server.client.eval_ro(wire.script(name), 0, *arguments)


def test_what_a_dead_worker_left_is_not_shown_and_is_cleared_up(views: Views, redis_server: RedisServer) -> None:
    with at_work(redis_server.url, catalogue(SEND)):
        redis_server.client.zadd(KEYS.running("sms"), {"left": 1})
        redis_server.client.hset(KEYS.runners("sms"), "left", "a dead worker")
        redis_server.client.hset(KEYS.messages("sms"), "left", JobMessage("sms", "views.send", (), {}, {}).encode())

        assert views.page("sms", JobState.RUNNING).jobs == ()
        wait_until(lambda: not redis_server.client.exists(KEYS.running("sms")), "the entry to be cleared up")
