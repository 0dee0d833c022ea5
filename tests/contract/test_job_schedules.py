"""Schedules: the job of each tick is in its queue once, whoever looks, however often, and wherever he dies."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from dramatiq.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field
from tests.support.job_workers import at_work
from tests.support.redis import RedisServer
from tests.support.waiting import DEADLINE, wait_until

from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.options import START_UNTIL
from crewcall_worker.queues import (
    CATALOGUE,
    AsyncQueueService,
    JobContext,
    JobType,
    Payload,
    Priority,
    QueueService,
    QueueUnavailable,
    RateLimit,
    job,
)
from crewcall_worker.queues.cron import following
from crewcall_worker.queues.plans import CatchUp, Definition
from crewcall_worker.queues.scheduler import AT_ONCE, Passed, Scheduler
from crewcall_worker.queues.schedules import Schedules, ScheduleView
from crewcall_worker.queues.views import JobState, Views
from crewcall_worker.settings import Settings

KEYS = wire.Keys()
MINUTE = 60_000


class Digest(Payload):
    kind: str = "daily"


class Told(Payload):
    at: int = Field(default_factory=time.time_ns)


def job_type(run: Any = lambda payload, context: None) -> JobType[Digest]:
    """A job type that is in no catalogue when the test is over."""

    def digest(payload: Digest, context: JobContext) -> None:
        run(payload, context)

    rate: RateLimit[Digest] = RateLimit(100_000, key=lambda payload: payload.kind)
    made: JobType[Digest] = job("digest", queue="email", rate=rate)(digest)
    del CATALOGUE["digest"]
    return made


DIGEST = job_type()
ACME = Digest(organization_id="acme")


@pytest.fixture
def schedules(redis_server: RedisServer) -> Schedules:
    return Schedules(redis_server.client)


@pytest.fixture
def broker(redis_server: RedisServer) -> Iterator[CrewcallBroker]:
    broker = CrewcallBroker(url=redis_server.url, middleware=[])
    yield broker
    broker.close()


def scheduler(broker: CrewcallBroker) -> Scheduler:
    return Scheduler(broker, broker.outbox.clock)


def planned(server: RedisServer) -> list[Message[Any]]:
    """The delayed messages, by their ETA. Each is in the list and in the index, once."""
    found: dict[str, str] = server.client.hgetall(KEYS.messages("email.DQ"))  # type: ignore[assignment] # in text
    assert sorted(server.client.lrange(KEYS.ready("email.DQ"), 0, -1)) == sorted(found)
    index: Any = server.client.zrange(KEYS.eta("email"), 0, -1, withscores=True)
    messages = [Message.decode(text.encode()) for text in found.values()]
    assert dict(index) == {message.options["redis_message_id"]: message.options["eta"] for message in messages}
    return sorted(messages, key=lambda message: message.options["eta"])


def ticks(server: RedisServer) -> list[int]:
    return [message.options["eta"] for message in planned(server)]


def now_ms(server: RedisServer) -> int:
    seconds, microseconds = server.client.time()
    return int(seconds * 1000 + microseconds // 1000)


def test_the_next_ticks_job_is_in_its_queue_at_once_and_the_schedule_is_seen(
    schedules: Schedules, redis_server: RedisServer
) -> None:
    assert schedules.put("mornings", "0 8 * * MON-FRI", DIGEST, ACME, timezone="Europe/Berlin", priority=Priority.LOW)

    tick = following("0 8 * * MON-FRI", "Europe/Berlin", now_ms(redis_server)) or 0
    (message,) = planned(redis_server)
    assert message == Message(
        "email.DQ",
        "digest",
        (),
        {"payload": {"organization_id": "acme", "kind": "daily"}},
        {
            "organization_id": "acme",
            "priority": 2,
            "rate_key": "daily",
            "schedule": "mornings",
            "eta": tick,
            "ready_at": tick,
            "redis_message_id": message.message_id,
        },
        message.message_id,
        tick,
    )
    view = ScheduleView(
        name="mornings",
        cron="0 8 * * MON-FRI",
        timezone="Europe/Berlin",
        catch_up=CatchUp.ONCE,
        job="digest",
        queue="email",
        organization_id="acme",
        payload={"organization_id": "acme", "kind": "daily"},
        last_ms=None,
        next_ms=tick,
    )
    assert schedules.all() == (view,)
    assert schedules.get("mornings") == view
    assert redis_server.client.smembers(KEYS.queues) == {"email"}


def test_the_same_schedule_put_again_changes_nothing(schedules: Schedules, redis_server: RedisServer) -> None:
    schedules.put("a", "0 8 * * *", DIGEST, ACME)
    before = planned(redis_server)

    assert not schedules.put("a", "0 8 * * *", DIGEST, ACME)
    assert planned(redis_server) == before


@pytest.mark.parametrize("is_in_a_workers_memory", [False, True])
def test_another_schedule_of_the_name_takes_the_planned_message_away(
    schedules: Schedules, redis_server: RedisServer, is_in_a_workers_memory: bool
) -> None:
    schedules.put("a", "0 8 * * *", DIGEST, ACME)
    (before,) = planned(redis_server)
    if is_in_a_workers_memory:
        redis_server.client.delete(KEYS.ready("email.DQ"))

    assert schedules.put("a", "0 8 * * *", DIGEST, Digest(organization_id="acme", kind="weekly"))

    (after,) = planned(redis_server)
    assert after.kwargs["payload"]["kind"] == "weekly"
    assert after.options["eta"] == before.options["eta"]
    assert after.message_id != before.message_id


@pytest.mark.parametrize("catch_up", [CatchUp.ONCE, CatchUp.ALL])
def test_a_missed_tick_is_made_up_for_where_the_schedule_has_changed_since(
    schedules: Schedules, redis_server: RedisServer, catch_up: CatchUp
) -> None:
    schedules.put("a", "* * * * * *", DIGEST, ACME, catch_up=catch_up)
    (missed,) = planned(redis_server)
    wait_until(lambda: now_ms(redis_server) > missed.options["eta"] + 2_000, "three ticks to be missed")

    assert schedules.put("a", "* * * * * *", DIGEST, Digest(organization_id="acme", kind="weekly"), catch_up=catch_up)

    first, second = planned(redis_server)
    view = schedules.get("a")
    assert view is not None
    assert (first, view.last_ms) == (missed, missed.options["eta"])
    assert (second.options["eta"], second.kwargs["payload"]["kind"]) == (missed.options["eta"] + 1_000, "weekly")


def test_what_a_factory_makes_is_made_at_the_run_and_makes_no_schedule_new(
    schedules: Schedules, redis_server: RedisServer
) -> None:
    def tell(payload: Told, context: JobContext) -> None:
        """Nothing."""

    kind: JobType[Told] = job("tell", queue="email")(tell)
    del CATALOGUE["tell"]

    assert schedules.put("a", "0 8 * * *", kind, Told(organization_id="acme"))
    assert not schedules.put("a", "0 8 * * *", kind, Told(organization_id="acme"))

    assert planned(redis_server)[0].kwargs["payload"] == {"organization_id": "acme"}
    assert schedules.put("a", "0 8 * * *", kind, Told(organization_id="acme", at=5))


def test_a_schedule_that_is_removed_leaves_nothing(schedules: Schedules, redis_server: RedisServer) -> None:
    schedules.put("a", "0 8 * * *", DIGEST, ACME)

    assert schedules.remove("a")

    assert not schedules.remove("a")
    assert redis_server.client.keys("*") == [KEYS.queues]
    assert schedules.all() == ()


def test_a_tick_that_has_become_a_job_stays_where_its_schedule_is_removed(
    schedules: Schedules, redis_server: RedisServer
) -> None:
    schedules.put("a", "0 8 * * *", DIGEST, ACME)
    (message,) = planned(redis_server)
    redis_server.client.delete(KEYS.messages("email.DQ"), KEYS.ready("email.DQ"), KEYS.eta("email"))
    redis_server.client.hset(KEYS.messages("email"), message.message_id, message.encode())

    schedules.remove("a")

    assert redis_server.client.hlen(KEYS.messages("email")) == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": ""}, "name is ''; expected a text of 1 to 200 characters"),
        ({"cron": "x"}, "cron is 'x'"),
        ({"timezone": "Nowhere"}, "timezone is 'Nowhere'"),
        ({"grace": -1.0}, "grace is -1.0; expected seconds"),
        ({"grace": float("inf")}, "grace is inf; expected seconds"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(
    schedules: Schedules, redis_server: RedisServer, values: dict[str, Any], words: str
) -> None:
    it: dict[str, Any] = {"name": "a", "cron": "0 8 * * *", "timezone": "UTC", "grace": 300.0, **values}
    with pytest.raises(ValueError, match=words):
        schedules.put(it["name"], it["cron"], DIGEST, ACME, timezone=it["timezone"], grace=it["grace"])
    assert redis_server.client.keys("*") == []


def test_a_schedule_of_a_newer_release_is_listed_and_left_alone(
    schedules: Schedules, redis_server: RedisServer, broker: CrewcallBroker, caplog: pytest.LogCaptureFixture
) -> None:
    schedules.put("a", "* * * * *", DIGEST, ACME)
    redis_server.client.hset(KEYS.schedules, "a", json.dumps({"v": 2}))
    one = scheduler(broker)

    for _ in range(3):
        assert one.plan(one.look(ahead_ms=2 * MINUTE)) == 0

    (view,) = schedules.all()
    assert view.name == "a"
    assert "is it written by a newer release?" in view.problem
    assert caplog.text.count("Schedule 'a' is left alone") == 1
    assert schedules.remove("a")


DEFINED: dict[str, Any] = {
    "v": 1,
    "cron": "* * * * *",
    "timezone": "UTC",
    "catch_up": "skip",
    "grace_ms": 1,
    "job": "digest",
    "queue": "email",
    "payload": {},
    "options": {},
}
PLANNED: dict[str, Any] = {"v": 1, "tick_ms": 1, "queue": "email", "id": "x", "last_ms": None}
DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("definition", "plan"),
    [
        (DEEP, PLANNED),
        *(({**DEFINED, name: 5}, PLANNED) for name in ("cron", "timezone", "catch_up", "queue", "payload", "options")),
        ({**DEFINED, "grace_ms": "1"}, PLANNED),
        (DEFINED, DEEP),
        *((DEFINED, {**PLANNED, "tick_ms": tick_ms}) for tick_ms in ("1", 1e300, 10**400)),
        (DEFINED, {**PLANNED, "last_ms": "1"}),
    ],
)
def test_what_is_no_schedule_is_told_and_holds_no_other_up(
    schedules: Schedules, redis_server: RedisServer, broker: CrewcallBroker, definition: object, plan: object
) -> None:
    schedules.put("good", "* * * * *", DIGEST, ACME)
    for key, value in ((KEYS.schedules, definition), (KEYS.planned, plan)):
        redis_server.client.hset(key, "bad", value if isinstance(value, str) else json.dumps(value))
    redis_server.client.zadd(KEYS.ticks, {"bad": 1})
    one = scheduler(broker)

    assert one.plan(one.look(ahead_ms=2 * MINUTE)) == 1

    assert [view.name for view in schedules.all()] == ["bad", "good"]
    assert schedules.remove("bad")


def test_more_of_what_is_no_schedule_than_one_look_shows_holds_no_other_up(
    schedules: Schedules, redis_server: RedisServer, broker: CrewcallBroker
) -> None:
    schedules.put("good", "* * * * *", DIGEST, ACME)
    (first,) = ticks(redis_server)
    bad = [f"bad-{number}" for number in range(2 * AT_ONCE)]
    redis_server.client.hset(KEYS.schedules, mapping=dict.fromkeys(bad, "{"))
    redis_server.client.zadd(KEYS.ticks, dict.fromkeys(bad, 1))

    scheduler(broker).plan_all(first - now_ms(redis_server) + 1_000)

    assert ticks(redis_server) == [first, first + MINUTE]


@pytest.mark.parametrize(
    ("catch_up", "expected"), [(CatchUp.SKIP, [1, 61]), (CatchUp.ONCE, [1, 61]), (CatchUp.ALL, list(range(1, 62)))]
)
def test_ticks_of_a_time_without_workers_are_made_up_for_as_the_schedule_says(
    schedules: Schedules, redis_server: RedisServer, broker: CrewcallBroker, catch_up: CatchUp, expected: list[int]
) -> None:
    schedules.put("a", "* * * * *", DIGEST, ACME, catch_up=catch_up)
    (first,) = ticks(redis_server)
    one = scheduler(broker)

    late = first - now_ms(redis_server) + 59 * MINUTE + 30_000
    one.plan_all(late)

    assert ticks(redis_server) == [first + (number - 1) * MINUTE for number in expected]
    (view,) = schedules.all()
    assert view.next_ms == ticks(redis_server)[-1]
    assert view.last_ms == ticks(redis_server)[-2]
    assert Views(redis_server.client).organization("acme")[0].enqueued == len(expected) - 1


def test_a_tick_that_a_scheduler_is_a_moment_late_for_is_not_missed(
    schedules: Schedules, redis_server: RedisServer, broker: CrewcallBroker
) -> None:
    schedules.put("a", "*/2 * * * * *", DIGEST, ACME)
    (first,) = ticks(redis_server)
    one = scheduler(broker)

    one.plan_all(first - now_ms(redis_server) + 6_500)

    assert ticks(redis_server) == [first + number * 2_000 for number in range(5)]


class Office:
    """Four schedulers that look, and plan on what they saw, however old; and somebody who puts and removes."""

    def __init__(self, server: RedisServer, broker: CrewcallBroker, catch_up: CatchUp) -> None:
        self.server = server
        self.schedules = Schedules(server.client)
        self.catch_up = catch_up
        self.schedulers = [scheduler(broker) for _ in range(4)]
        self.seen: dict[int, list[Passed]] = {}
        self.ahead_ms = 0
        self.version = 0
        self.started: int | None = None
        self.earlier: set[str] = set()  # messages of what was put before
        self.ran: list[Message[Any]] = []
        self.put(0, 0)

    def look(self, number: int, _: int) -> None:
        """That one looks, and those after it."""
        for one in range(number, len(self.schedulers)):
            self.seen[one] = self.schedulers[one].look(self.ahead_ms)

    def plan(self, number: int, _: int) -> None:
        self.schedulers[number].plan(self.seen.get(number, []))

    def die(self, number: int, _: int) -> None:
        self.seen.pop(number, None)

    def wait(self, _: int, passes_ms: int) -> None:
        self.ahead_ms += passes_ms

    def run(self, _: int, __: int) -> None:
        """A worker runs what is due."""
        for message in planned(self.server):
            if message.options["eta"] <= now_ms(self.server) + self.ahead_ms:
                self.ran.append(message)
                id_ = message.options["redis_message_id"]
                self.server.client.hdel(KEYS.messages("email.DQ"), id_)
                self.server.client.lrem(KEYS.ready("email.DQ"), 0, id_)
                self.server.client.zrem(KEYS.eta("email"), id_)

    def all(self) -> list[Message[Any]]:
        return [*self.ran, *planned(self.server)]

    def put(self, _: int, __: int) -> None:
        self.version += 1
        self.earlier.update(message.message_id for message in self.all())
        payload = Digest(organization_id="acme", kind=f"v{self.version}")
        self.schedules.put("a", "* * * * *", DIGEST, payload, catch_up=self.catch_up)
        self.started = _next_tick(self.schedules)

    def remove(self, _: int, __: int) -> None:
        self.schedules.remove("a")
        self.earlier.update(message.message_id for message in self.all())
        self.started = None

    def settle(self) -> None:
        """All that was seen is planned on, and then one scheduler lives for long enough."""
        for number in list(self.seen):
            self.plan(number, 0)
        self.schedulers[0].plan_all(self.ahead_ms)


def test_who_plans_on_what_he_saw_before_another_had_planned_plans_nothing(
    schedules: Schedules, redis_server: RedisServer, broker: CrewcallBroker
) -> None:
    office = Office(redis_server, broker, CatchUp.ALL)
    office.wait(0, 2 * MINUTE)
    office.look(0, 0)
    assert office.schedulers[0].plan(office.seen[0]) == 1
    office.run(0, 0)
    office.look(1, 0)  # who saw it before: only number 0
    assert office.schedulers[0].plan(office.seen[0]) == 0
    office.put(0, 0)
    assert office.schedulers[1].plan(office.seen[1]) == 0
    office.remove(0, 0)
    assert office.schedulers[2].plan(office.seen[2]) == 0

    assert len({message.message_id for message in office.all()}) == len(office.all()) == 2


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["look", "look", "look", "plan", "plan", "plan", "run", "run", "wait", "wait", "die", "put", "remove"]
        ),
        st.integers(0, 3),
        st.sampled_from([20_000, 60_000, 150_000]),
    ),
    min_size=10,
    max_size=40,
)


@given(actions=ACTIONS, catch_up=st.sampled_from(CatchUp))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_tick_has_one_message_whatever_schedulers_do_and_wherever_they_die(
    redis_server: RedisServer, broker: CrewcallBroker, actions: list[tuple[str, int, int]], catch_up: CatchUp
) -> None:
    redis_server.client.flushall()
    office = Office(redis_server, broker, catch_up)
    for action, number, passes_ms in actions:
        getattr(office, action)(number, passes_ms)
    office.settle()

    assert len(office.all()) == len({message.message_id for message in office.all()})
    messages = [message for message in office.all() if message.message_id not in office.earlier]
    assert {message.kwargs["payload"]["kind"] for message in messages} <= {f"v{office.version}"}
    found = sorted(message.options["eta"] for message in messages)
    assert len(found) == len(set(found))
    if office.started is None:
        assert (found, office.schedules.all()) == ([], ())
        return
    assert found[0] == office.started
    assert found[-1] == _next_tick(office.schedules) > now_ms(redis_server) + office.ahead_ms - MINUTE
    if catch_up is CatchUp.ALL:
        assert found == list(range(found[0], found[-1] + 1, MINUTE))


def _next_tick(schedules: Schedules) -> int:
    (view,) = schedules.all()
    assert view.next_ms is not None
    return view.next_ms


def test_workers_run_each_tick_once_and_go_on_planning(redis_server: RedisServer, schedules: Schedules) -> None:
    ran: list[str] = []
    kind = job_type(lambda payload, context: ran.append(context.id))
    schedules.put("a", "* * * * * *", kind, ACME)
    began = time.monotonic()

    with at_work(redis_server.url, catalogue(kind)) as broker:
        others = [scheduler(broker) for _ in range(4)]
        for other in others:
            other.start()
        wait_until(lambda: len(ran) >= 4, "four ticks")
        schedules.remove("a")
        for other in others:
            other.stop()

    assert time.monotonic() - began > 2.5
    assert len(ran) == len(set(ran))
    assert redis_server.client.hget(KEYS.stats("email"), "done") == str(len(ran))
    done = Views(redis_server.client).page("email", JobState.COMPLETED).jobs
    assert sorted(view.id for view in done) == sorted(ran)
    at = sorted(view.enqueued_ms or 0 for view in done)
    assert at == list(range(at[0], at[-1] + 1, 1000))


def catalogue(kind: JobType[Digest]) -> dict[str, JobType[Payload]]:
    return {kind.name: kind}  # type: ignore[dict-item]  # invariant in its payload, but a catalogue only hands out


def test_a_tick_that_may_not_be_late_is_left_out_where_it_is(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    ran = threading.Event()
    kind = job_type(lambda payload, context: ran.set())
    now = now_ms(redis_server)
    definition = Definition(
        cron="* * * * * *",
        timezone="UTC",
        catch_up=CatchUp.SKIP,
        grace_ms=10_000,
        job="digest",
        queue="email",
        payload={"organization_id": "acme"},
        options={"organization_id": "acme"},
    )
    late = definition.message("a", now // 1000 * 1000 - 5_000)
    assert late.options[START_UNTIL] == late.options["eta"] + 1_000  # by then the next one is due

    with at_work(redis_server.url, catalogue(kind)) as broker:
        broker.enqueue(promoted(late))
        wait_until(lambda: "its tick is left out" in caplog.text, "the tick to be left out")
        assert not ran.is_set()
        broker.enqueue(promoted(definition.message("a", now_ms(redis_server) + 2_000)))
        assert ran.wait(DEADLINE)
    assert redis_server.client.exists(KEYS.messages("email"), KEYS.dead("email")) == 0
    assert redis_server.client.hget(KEYS.stats("email"), "started") == "1"  # only the one that ran


def promoted(message: Message[Any]) -> Message[Any]:
    """As Dramatiq makes it of a delayed message that is due."""
    made = message.copy(queue_name="email")
    del made.options["eta"]
    return made


async def test_a_service_schedules_for_callers_of_both_kinds(redis_server: RedisServer) -> None:
    service = QueueService(Settings(redis_url=redis_server.url))
    asynchronous = AsyncQueueService(service)

    assert service.schedule("a", "0 8 * * *", DIGEST, ACME, timezone="Europe/Berlin")
    assert not await asynchronous.schedule("a", "0 8 * * *", DIGEST, ACME, timezone="Europe/Berlin")
    assert await asynchronous.schedule("b", "0 9 * * *", DIGEST, ACME, catch_up=CatchUp.SKIP, grace=60)
    assert [view.name for view in service.schedules()] == ["a", "b"]
    assert await asynchronous.schedules() == service.schedules()
    assert service.unschedule("a")
    assert not await asynchronous.unschedule("a")
    await asynchronous.shutdown()


def test_a_service_without_redis_schedules_nothing_and_one_that_redis_fails_says_so(redis_server: RedisServer) -> None:
    disabled = QueueService(None)
    assert (disabled.schedule("a", "0 8 * * *", DIGEST, ACME), disabled.unschedule("a")) == (False, False)
    assert disabled.schedules() == ()

    away = QueueService(Settings(redis_url="redis://127.0.0.1:1/0"))
    with pytest.raises(QueueUnavailable, match=r"127\.0\.0\.1:1/0"):
        away.schedule("a", "0 8 * * *", DIGEST, ACME)


def test_the_grace_of_a_tick_ends_where_the_next_one_is_due_at_the_latest() -> None:
    definition = Definition("0 * * * *", "UTC", CatchUp.SKIP, 5 * MINUTE, "digest", "email", {}, {})

    assert definition.message("a", 60 * MINUTE).options[START_UNTIL] == 65 * MINUTE
    for other in (CatchUp.ONCE, CatchUp.ALL):
        always = Definition("0 * * * *", "UTC", other, 5 * MINUTE, "digest", "email", {}, {})
        assert START_UNTIL not in always.message("a", 60 * MINUTE).options
