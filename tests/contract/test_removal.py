"""Jobs taken out of a queue by hand, one or all in a state: what all keys around them hold afterwards. Real Redis."""

from __future__ import annotations

import json
import uuid
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
from crewcall_worker.queues import CATALOGUE, JobContext, JobType, Payload, Priority, QueueService, job
from crewcall_worker.queues.limits import OrganizationLimits
from crewcall_worker.queues.removal import CHUNK, Removal
from crewcall_worker.queues.schedules import Schedules
from crewcall_worker.queues.views import JobState, Views
from crewcall_worker.scripts import Scripts
from crewcall_worker.settings import Settings

KEYS = wire.Keys()
LATER = 3_600.0


class Send(Payload):
    to: str


class Desk:
    """A queue with a producer, a worker that only fetches, and whoever removes."""

    def __init__(self, server: RedisServer) -> None:
        self.client = server.client
        self.broker = CrewcallBroker(url=server.url, middleware=[])
        self.service = QueueService(Settings(redis_url=server.url))
        self.views = Views(server.client)
        self.removal = Removal(server.client, "dramatiq")
        self.scripts = Scripts(server.client, KEYS, "pool")
        self.ran: list[str] = []
        self.send = self._job()

    def put(self, to: str, organization: str = "acme", *, delay: float | None = None, key: str | None = None) -> str:
        payload = Send(organization_id=organization, to=to)
        return self.service.enqueue(self.send, payload, delay=delay, dedupe_key=key).id

    def put_plain(self, *, delay_ms: int | None = None, producer: RedisBroker | None = None) -> str:
        """A message without an organisation; its id in Redis."""
        message: dramatiq.Message[None] = dramatiq.Message("sms", "plain", (), {}, {})
        sent = (producer or self.broker).enqueue(message, delay=delay_ms)
        return str(sent.options["redis_message_id"])

    def bury(self, id_: str, at_ms: int = 1_000) -> None:
        message: dramatiq.Message[None] = dramatiq.Message("sms", "plain", (), {}, {"redis_message_id": id_})
        self.client.zadd(KEYS.dead("sms"), {id_: at_ms})
        self.client.hset(KEYS.messages("sms.XQ"), id_, message.encode().decode())

    def remove(self, id_: str) -> bool:
        view = self.views.find(id_, "sms")
        assert view is not None
        return self.removal.remove(view)

    def purge(self, state: JobState, most: int = 2) -> int:
        """All of it, in small steps; how many went."""
        removed, cursor = 0, None
        for _ in range(100):
            purged = self.removal.purge("sms", state, cursor, most)
            assert purged.removed <= most or state is JobState.DELAYED
            removed, cursor = removed + purged.removed, purged.cursor
            if cursor is None:
                return removed
        raise AssertionError("the purge comes to no end")

    def fetch(self, wanted: int = 1, queue: str = "sms") -> list[str]:
        self.client.hset(KEYS.workers("pool"), "w", "{}")
        fetched = self.scripts.fetch("w", queue, wanted, 1_000)
        assert isinstance(fetched, list)
        return [it.id for it in fetched]

    def _job(self) -> JobType[Any]:
        @job("sms.send", queue="sms", priority=Priority.HIGH)
        def send(payload: Send, context: JobContext) -> None:
            self.ran.append(payload.to)

        del CATALOGUE["sms.send"]
        return send


@pytest.fixture
def desk(redis_server: RedisServer) -> Iterator[Desk]:
    desk = Desk(redis_server)
    yield desk
    desk.service.shutdown()
    desk.broker.close()


def test_a_ready_job_leaves_as_if_it_had_never_been_sent(desk: Desk) -> None:
    desk.put("ada")
    before = snapshot(desk.client)

    removed = desk.put("bob")
    assert desk.remove(removed)

    assert snapshot(desk.client) == before
    assert desk.views.find(removed) is None


def test_the_last_job_of_a_lane_takes_the_lanes_turn_with_it(desk: Desk) -> None:
    desk.put("ada")
    before = snapshot(desk.client)

    assert desk.remove(desk.put("bob", organization="zenith"))

    assert snapshot(desk.client) == before


def test_a_job_at_the_head_of_the_queue_leaves_with_its_deliveries_and_kills(desk: Desk) -> None:
    desk.put_plain()
    before = snapshot(desk.client)

    id_ = desk.put_plain()
    desk.client.hset(KEYS.kills("sms"), id_, 1)
    desk.client.hset(KEYS.deliveries("sms"), id_, 2)
    assert desk.remove(id_)

    assert snapshot(desk.client) == before


def test_a_delayed_job_leaves_the_index_as_well(desk: Desk) -> None:
    desk.put("ada", delay=LATER)
    before = snapshot(desk.client)

    assert desk.remove(desk.put("bob", delay=LATER))

    assert snapshot(desk.client) == before


def test_a_delayed_job_of_a_plain_producer_leaves_too(desk: Desk, redis_server: RedisServer) -> None:
    plain = RedisBroker(url=redis_server.url, middleware=[])
    desk.put("ada", delay=LATER)
    before = snapshot(desk.client)

    id_ = desk.put_plain(delay_ms=3_600_000, producer=plain)
    assert desk.remove(id_)

    assert snapshot(desk.client) == before
    plain.close()


def test_a_dead_letter_leaves(desk: Desk) -> None:
    desk.bury("one")
    before = snapshot(desk.client)

    desk.bury("two")
    assert desk.remove("two")

    assert snapshot(desk.client) == before


def test_a_completed_jobs_record_leaves(desk: Desk, redis_server: RedisServer) -> None:
    id_ = desk.put("ada")
    with at_work(redis_server.url, {"sms.send": desk.send}):
        wait_until(lambda: desk.client.zcard(KEYS.completed("sms")) == 1, "the job to be completed")

    assert desk.remove(id_)

    assert (desk.views.find(id_), desk.client.exists(KEYS.completed("sms"), KEYS.records("sms"))) == (None, 0)


def test_a_job_that_a_worker_has_is_its_workers(desk: Desk) -> None:
    id_ = desk.put("ada")
    assert desk.fetch() == [id_]
    before = snapshot(desk.client)

    with pytest.raises(ValueError, match="its worker has it"):
        desk.remove(id_)

    assert snapshot(desk.client) == before


def test_a_job_that_a_worker_was_quicker_to_take_stays(desk: Desk) -> None:
    id_ = desk.put("ada")
    seen = desk.views.find(id_)
    assert seen is not None
    desk.fetch()
    before = snapshot(desk.client)

    assert not desk.removal.remove(seen)

    assert snapshot(desk.client) == before


def test_a_job_larger_than_is_shown_leaves_its_lane_as_well(desk: Desk) -> None:
    desk.put("ada")
    before = snapshot(desk.client)

    assert desk.remove(desk.put("b" * 100_000, organization="zenith"))

    assert snapshot(desk.client) == before


def test_a_delayed_job_in_a_workers_memory_is_never_run(desk: Desk, redis_server: RedisServer) -> None:
    id_ = desk.put("ada", delay=1.5)
    with at_work(redis_server.url, {"sms.send": desk.send}) as broker:
        acks = KEYS.acks(broker.broker_id, "sms.DQ")
        wait_until(lambda: desk.client.sismember(acks, id_), "the worker to have it in its memory")
        assert desk.remove(id_)
        desk.put("bob", delay=1.6)
        wait_until(lambda: "bob" in desk.ran, "the job after it")

    assert desk.ran == ["bob"]


def test_what_an_organisation_may_have_in_flight_is_reckoned_anew(desk: Desk) -> None:
    OrganizationLimits(desk.client, "dramatiq").set("sms", "acme", 1)
    desk.put("ada")
    desk.put("bob")
    before = snapshot(desk.client)
    assert before[KEYS.surplus("sms")] == {"acme": "1", "": "1"}

    assert desk.remove(desk.put("cyd"))

    assert snapshot(desk.client) == before


def test_a_job_that_came_back_to_the_head_counts_as_in_flight_no_longer(desk: Desk) -> None:
    OrganizationLimits(desk.client, "dramatiq").set("sms", "acme", 1)
    id_ = desk.put("ada")
    desk.put("bob")
    desk.fetch()
    desk.scripts.give_back("w", "sms", [id_])
    assert desk.client.zcard(KEYS.full("sms")) == 1

    assert desk.remove(id_)

    assert (desk.client.zcard(KEYS.full("sms")), desk.client.zcard(KEYS.lanes("sms"))) == (0, 1)
    assert desk.client.exists(KEYS.taken("sms", "acme"), KEYS.surplus("sms")) == 0


def test_the_tick_of_a_schedule_is_left_out_and_the_next_one_planned(desk: Desk) -> None:
    schedules = Schedules(desk.client)
    schedules.put("yearly", "0 0 1 1 *", desk.send, Send(organization_id="acme", to="all"))
    (tick,) = desk.views.page("sms", JobState.DELAYED).jobs
    assert tick.at_ms is not None

    assert desk.removal.remove(tick)

    (following,) = desk.views.page("sms", JobState.DELAYED).jobs
    planned = schedules.get("yearly")
    assert planned is not None
    assert (following.at_ms, desk.client.llen("dramatiq:sms.DQ")) == (planned.next_ms, 1)
    assert 364 <= (planned.next_ms or 0) / 86_400_000 - tick.at_ms / 86_400_000 <= 366


def test_its_like_stay_duplicates_until_the_key_expires(desk: Desk) -> None:
    first = desk.put("ada", key="hello")
    assert desk.remove(first)

    assert desk.put("ada", key="hello") == first
    assert desk.views.find(first) is None


def test_purging_what_is_ready_leaves_nothing_of_it(desk: Desk) -> None:
    OrganizationLimits(desk.client, "dramatiq").set("sms", "acme", 1)
    before = snapshot(desk.client)
    for number in range(3):
        desk.put(str(number))
        desk.put(str(number), organization="zenith")
        desk.client.hset(KEYS.kills("sms"), desk.put_plain(), 1)

    assert desk.purge(JobState.READY) == 9

    after = snapshot(desk.client)
    assert after.pop(KEYS.queues) == {"sms"}
    assert after == before


def test_purging_leaves_what_workers_have_and_all_other_states(desk: Desk) -> None:
    held = [desk.put("ada"), desk.put("bob")]
    assert desk.fetch(2) == held
    delayed = desk.put("cyd", delay=LATER)
    desk.bury("dead")
    before = snapshot(desk.client)
    for _ in range(5):
        desk.put("eve")

    assert desk.purge(JobState.READY) == 5

    assert snapshot(desk.client) == before
    assert [view.id for view in desk.views.page("sms", JobState.DELAYED).jobs] == [delayed]


def test_purging_ends_whoever_goes_on_sending(desk: Desk) -> None:
    for number in range(6):
        desk.put(str(number), organization=f"org-{number % 2}")

    removed, cursor = 0, None
    while True:
        purged = desk.removal.purge("sms", JobState.READY, cursor, 2)
        removed, cursor = removed + purged.removed, purged.cursor
        if cursor is None:
            break
        for _ in range(4):
            desk.put("more")

    assert removed == 6
    assert desk.views.counts("sms").ready == 8


def test_purging_tells_how_many_are_left(desk: Desk) -> None:
    for number in range(5):
        desk.bury(f"dead-{number}")
        desk.put(str(number))

    assert [desk.removal.purge("sms", state, None, 2).left for state in (JobState.DEAD, JobState.READY)] == [3, 3]


def test_purging_what_is_delayed_takes_those_in_workers_memories_and_leaves_ticks(
    desk: Desk, redis_server: RedisServer
) -> None:
    plain = RedisBroker(url=redis_server.url, middleware=[])
    Schedules(desk.client).put("yearly", "0 0 1 1 *", desk.send, Send(organization_id="acme", to="all"))
    before = snapshot(desk.client)
    fetched = [desk.put(str(number), delay=LATER) for number in range(3)]
    fetched.append(desk.put_plain(delay_ms=3_600_000, producer=plain))
    held = desk.fetch(5, "sms.DQ")
    assert set(fetched) < set(held)
    desk.scripts.give_back("w", "sms.DQ", [id_ for id_ in held if id_ not in fetched])
    for number in range(5):
        desk.put(str(number), delay=LATER)

    assert desk.purge(JobState.DELAYED) == 9

    after = snapshot(desk.client)
    assert after.pop(KEYS.acks("w", "sms.DQ")) == set(fetched)  # until the worker looks at them
    after.pop(KEYS.workers("pool"))
    assert after == before
    plain.close()


def test_a_dead_letter_that_died_during_the_purge_stays(desk: Desk) -> None:
    for number in range(3):
        desk.bury(f"dead-{number}", at_ms=number)
    first = desk.removal.purge("sms", JobState.DEAD, None, 2)
    desk.bury("later", at_ms=2**50)

    second = desk.removal.purge("sms", JobState.DEAD, first.cursor, 2)

    assert (first.removed, second.removed, second.cursor) == (2, 1, None)
    assert desk.client.zrange(KEYS.dead("sms"), 0, -1) == ["later"]


def test_purging_what_is_completed_leaves_no_record(desk: Desk, redis_server: RedisServer) -> None:
    for number in range(5):
        desk.put(str(number))
    with at_work(redis_server.url, {"sms.send": desk.send}):
        wait_until(lambda: desk.client.zcard(KEYS.completed("sms")) == 5, "the jobs to be completed")

    assert desk.purge(JobState.COMPLETED) == 5

    assert desk.client.exists(KEYS.completed("sms"), KEYS.records("sms")) == 0


def test_a_message_that_is_none_is_purged_as_well(desk: Desk) -> None:
    OrganizationLimits(desk.client, "dramatiq").set("sms", "acme", 1)
    id_ = str(uuid.uuid4())
    for queue in ("sms", "sms.DQ"):
        desk.client.rpush(KEYS.ready(queue), id_)
        desk.client.hset(KEYS.messages(queue), id_, "[" * 200)

    assert (desk.purge(JobState.READY), desk.purge(JobState.DELAYED)) == (1, 1)

    assert desk.client.exists(KEYS.messages("sms"), KEYS.messages("sms.DQ"), "dramatiq:sms", "dramatiq:sms.DQ") == 0


@pytest.mark.parametrize("cursor", ["x", "1", "1/2", "1/2/end", "-1/2/3", "1/2/3/4", "1/" + "9" * 30 + "/0", "٣/1/0"])
def test_a_cursor_that_was_never_told_is_refused(desk: Desk, cursor: str) -> None:
    with pytest.raises(ValueError, match="expected what an earlier answer told"):
        desk.removal.purge("sms", JobState.READY, cursor)


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.FETCHED])
def test_what_workers_have_is_not_purged(desk: Desk, state: JobState) -> None:
    with pytest.raises(ValueError, match="expected one of ready, delayed, completed, dead"):
        desk.removal.purge("sms", state)


def test_a_million_jobs_keep_redis_from_others_for_milliseconds_at_a_time(desk: Desk) -> None:
    """Of which there are 20,000 here: what one step costs does not depend on how many there are."""
    count = 20_000
    text = json.dumps({"options": {"organization_id": "acme"}, "message_timestamp": 1})
    with desk.client.pipeline() as pipeline:
        for at in range(0, count, 1_000):
            ids = [f"job-{number}" for number in range(at, at + 1_000)]
            pipeline.hset(KEYS.messages("sms"), mapping=dict.fromkeys(ids, text))
            pipeline.rpush(KEYS.lane("sms", "1:acme"), *ids)
            pipeline.zadd(KEYS.waiting("sms"), dict.fromkeys(ids, 1.0))
        pipeline.zadd(KEYS.lanes("sms"), {"1:acme": 1.0})
        pipeline.execute()
    desk.client.config_resetstat()

    purged = desk.removal.purge("sms", JobState.READY)

    told: Any = desk.client.info("commandstats")
    calls = {name: stats for name, stats in told.items() if name.startswith("cmdstat_eval")}
    assert (purged.removed, purged.left) == (CHUNK, count - CHUNK)
    assert sum(stats["usec"] for stats in calls.values()) < 20_000  # 2 ms; a busy machine takes longer
