"""Any order of sending, fetching, ending, giving back, dying, pausing and limiting: lanes do what a simple model does.

No message is lost or doubled; the head goes first, then priorities strictly, and within one each organisation has one
turn before anybody has another; what is counted is exact. The model is of lists alone; the scripts run on a real Redis.
"""

from __future__ import annotations

from collections import defaultdict, deque
from importlib import resources

import pytest
from dramatiq import Message
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.support.redis import RedisServer

from crewcall_worker import options, wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.options import PROMOTION
from crewcall_worker.outbox import Enqueued
from crewcall_worker.queues.limits import ALL_OTHERS, OrganizationLimits
from crewcall_worker.queues.pauses import Pauses
from crewcall_worker.recovery import recover
from crewcall_worker.scripts import Refused, Scripts

KEYS, POOL = wire.Keys(), "shop/notifications"
READ = (resources.files("crewcall_operator.adapters") / "read_queues.lua").read_text()
WORKERS = ("w1", "w2")

Lane = tuple[int, str]
ORGANIZATIONS = st.sampled_from(["a", "b", "c", ""])
PRIORITIES = st.sampled_from([0, 1, 1, 1, 2])


class Lanes(RuleBasedStateMachine):
    """One queue, two workers. `may_limit` where organisations may have limits."""

    server: RedisServer
    may_limit = False

    @initialize()
    def begin(self) -> None:
        client = self.server.client
        client.flushall()
        self.broker = CrewcallBroker(url=self.server.url)
        self.scripts = Scripts(client, KEYS, POOL)
        self.pauses = Pauses(client, "dramatiq")
        self.limits = OrganizationLimits(client, "dramatiq")
        self.sent = 0
        self.ready_at: dict[str, int] = {}
        self.lane_of: dict[str, Lane] = {}
        self.delayed: dict[str, Message[None]] = {}
        self.head: deque[str] = deque()
        self.lanes: dict[Lane, deque[str]] = defaultdict(deque)
        self.held: dict[str, list[str]] = {worker: [] for worker in WORKERS}
        self.taken: dict[str, set[str]] = defaultdict(set)
        self.most: dict[str, int] = {}
        self.waited: dict[Lane, dict[Lane, int]] = {}
        self.is_paused = False
        for worker in WORKERS:
            self.register(worker)

    def teardown(self) -> None:
        self.broker.close()

    def register(self, worker: str) -> None:
        self.scripts.beat(worker, f"pod-{worker}", '{"v":1,"queues":["sms"]}')

    # What can happen

    @rule(lanes=st.lists(st.tuples(PRIORITIES, ORGANIZATIONS), min_size=1, max_size=6))
    def send(self, lanes: list[Lane]) -> None:
        messages = [self.message(lane) for lane in lanes]
        for outcome, lane in zip(self.broker.outbox.enqueue_many([(it, None) for it in messages]), lanes, strict=True):
            assert isinstance(outcome, Enqueued)
            self.join(outcome.message, lane)

    @rule()
    def send_plain(self) -> None:
        self.sent += 1
        message = self.broker.enqueue(Message("sms", "send", (), {}, {}, message_id=f"plain-{self.sent}"))
        id_ = message.options["redis_message_id"]
        self.ready_at[id_] = message.options[wire.READY_AT]
        self.head.append(id_)

    @rule(lane=st.tuples(PRIORITIES, ORGANIZATIONS))
    def send_delayed(self, lane: Lane) -> None:
        sent = self.broker.enqueue(self.message(lane), delay=1)
        id_ = sent.options["redis_message_id"]
        self.delayed[id_] = sent
        self.lane_of[id_] = lane

    @precondition(lambda self: self.delayed)
    @rule()
    def promote(self) -> None:
        id_, message = self.delayed.popitem()
        self.server.client.sadd(KEYS.acks(self.broker.broker_id, "sms.DQ"), id_)
        due = message.copy(queue_name="sms", options={PROMOTION: (self.broker.broker_id, id_)})
        self.join(self.broker.enqueue(due), self.lane_of[id_])

    @rule(worker=st.sampled_from(WORKERS), wanted=st.integers(1, 7))
    def fetch(self, worker: str, wanted: int) -> None:
        fetched = self.scripts.fetch(worker, "sms", wanted, len(self.held[worker]))
        if self.is_paused:
            assert fetched is Refused.PAUSED
            return
        assert not isinstance(fetched, Refused)
        ids = [message.id for message in fetched]
        for id_ in ids:
            self.take(id_)
        assert len(ids) == wanted or not (self.head or self.open_lanes())
        self.held[worker] += ids

    @precondition(lambda self: any(self.held.values()))
    @rule(data=st.data(), is_dead=st.booleans())
    def end(self, data: st.DataObject, *, is_dead: bool) -> None:
        worker = data.draw(st.sampled_from([worker for worker in WORKERS if self.held[worker]]))
        id_ = data.draw(st.sampled_from(self.held[worker]))
        _, organization = self.lane_of.get(id_, (0, ""))
        assert self.scripts.settle(worker, "sms", id_, dead=is_dead, marked=True, organization=organization)
        self.held[worker].remove(id_)
        self.taken[organization].discard(id_)
        self.note_who_waits()

    @rule(worker=st.sampled_from(WORKERS), count=st.integers(1, 4))
    def give_back(self, worker: str, count: int) -> None:
        ids = self.held[worker][-count:]
        self.scripts.give_back(worker, "sms", ids)
        self.held[worker] = self.held[worker][: len(self.held[worker]) - len(ids)]
        self.head.extendleft(reversed(ids))

    @rule(worker=st.sampled_from(WORKERS))
    def die(self, worker: str) -> None:
        recover(self.server.client, "dramatiq", POOL, [worker], limit=1_000)
        lost = sorted(self.held[worker], key=lambda id_: (self.ready_at[id_], id_))
        self.head.extendleft(reversed(lost))
        self.held[worker] = []
        self.server.client.delete(KEYS.fenced(POOL))
        self.register(worker)

    @rule()
    def pause_or_resume(self) -> None:
        if self.is_paused:
            self.pauses.resume("sms", by="model")
        else:
            self.pauses.pause("sms", by="model")
        self.is_paused = not self.is_paused

    @precondition(lambda self: self.may_limit)
    @rule(whose=st.sampled_from(["a", "b", ALL_OTHERS]), most=st.integers(0, 4))
    def limit(self, whose: str, most: int) -> None:
        if most:
            self.limits.set("sms", whose, most)
            self.most[whose] = most
        else:
            self.limits.lift("sms", whose)
            self.most.pop(whose, None)
        self.note_who_waits()

    # The model

    def message(self, lane: Lane) -> Message[None]:
        priority, organization = lane
        self.sent += 1
        told: dict[str, object] = {options.PRIORITY: priority}
        if organization:
            told[options.ORGANIZATION] = organization
        return Message("sms", "send", (), {}, told, message_id=f"{self.sent:06}")

    def join(self, message: Message[None], lane: Lane) -> None:
        id_ = message.options["redis_message_id"]
        self.ready_at[id_] = message.options[wire.READY_AT]
        self.lane_of[id_] = lane
        self.lanes[lane].append(id_)
        self.note_who_waits()

    def take(self, id_: str) -> None:
        """It is the one that was to be taken."""
        if self.head:
            assert id_ == self.head.popleft()
            return
        lane = self.lane_of[id_]
        assert id_ == self.lanes[lane].popleft()
        self.lanes[lane].appendleft(id_)
        assert lane in self.open_lanes()
        assert lane[0] == min(priority for priority, _ in self.open_lanes())
        self.lanes[lane].popleft()
        for other, turns in self.waited.items():
            if other != lane and other[0] == lane[0]:
                turns[lane] += 1
                assert turns[lane] == 1, f"{other} waits, and {lane} had another turn"
        self.waited.pop(lane)
        if self.limit_of(lane[1]) is not None:
            self.taken[lane[1]].add(id_)
        self.note_who_waits()

    def note_who_waits(self) -> None:
        """From now on a lane waits for its turn, or does so no longer."""
        waiting = self.open_lanes()
        self.waited = {lane: self.waited.get(lane, defaultdict(int)) for lane in waiting}

    def limit_of(self, organization: str) -> int | None:
        return self.most.get(organization, self.most.get(ALL_OTHERS)) if organization else None

    def free(self, organization: str) -> int | None:
        limit = self.limit_of(organization)
        return None if limit is None else max(0, limit - len(self.taken[organization]))

    def open_lanes(self) -> list[Lane]:
        return [lane for lane, ids in self.lanes.items() if ids and self.free(lane[1]) != 0]

    def beyond_limits(self) -> int:
        waiting: dict[str, int] = defaultdict(int)
        for (_, organization), ids in self.lanes.items():
            waiting[organization] += len(ids)
        free = {organization: self.free(organization) for organization in waiting}
        return sum(max(0, count - room) for name, count in waiting.items() if (room := free[name]) is not None)

    # What holds after each step

    @invariant()
    def redis_holds_each_message_once_and_where_the_model_has_it(self) -> None:
        client = self.server.client
        assert client.lrange(KEYS.ready("sms"), 0, -1) == list(self.head)
        for (priority, organization), ids in self.lanes.items():
            assert client.lrange(KEYS.lane("sms", f"{priority}:{organization}"), 0, -1) == list(ids)
        waiting = {id_ for ids in self.lanes.values() for id_ in ids}
        assert set(client.zrange(KEYS.waiting("sms"), 0, -1)) == waiting
        for worker, theirs in self.held.items():
            assert client.smembers(KEYS.acks(worker, "sms")) == set(theirs)
        held = {id_ for theirs in self.held.values() for id_ in theirs}
        assert set(client.hkeys(KEYS.messages("sms"))) == {*self.head, *waiting, *held}

    @invariant()
    def lanes_are_listed_once_by_whether_they_may_be_fetched_from(self) -> None:
        listed, full = (set(self.server.client.zrange(key("sms"), 0, -1)) for key in (KEYS.lanes, KEYS.full))
        names = {lane: f"{lane[0]}:{lane[1]}" for lane, ids in self.lanes.items() if ids}
        assert listed == {names[lane] for lane in self.open_lanes()}
        assert full == set(names.values()) - listed

    @invariant()
    def the_operator_reads_what_is_ready_in_flight_and_beyond_limits(self) -> None:
        line = str(self.server.client.eval(READ, 0, "dramatiq", "sms"))
        ready, held, delayed, _, since, limited, paused = map(int, line.split())
        waiting = [id_ for ids in self.lanes.values() for id_ in ids]
        assert (ready, limited, bool(paused)) == (len(self.head) + len(waiting), self.beyond_limits(), self.is_paused)
        assert held - ready == sum(map(len, self.held.values()))
        assert delayed == len(self.delayed)
        first = [*(self.ready_at[id_] for id_ in list(self.head)[:1]), *(self.ready_at[id_] for id_ in waiting)]
        assert since == min(first, default=-1)


class LimitedLanes(Lanes):
    may_limit = True


def play(machine: type[Lanes], server: RedisServer, *, games: int, steps: int) -> None:
    machine.server = server
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=games,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
        ),
    )


def test_lanes_do_what_their_model_does(redis_server: RedisServer) -> None:
    play(Lanes, redis_server, games=30, steps=30)


def test_lanes_with_limits_do_what_their_model_does(redis_server: RedisServer) -> None:
    play(LimitedLanes, redis_server, games=30, steps=30)


@pytest.mark.slow
@pytest.mark.parametrize("machine", [Lanes, LimitedLanes])
def test_lanes_do_what_their_model_does_in_longer_games(redis_server: RedisServer, machine: type[Lanes]) -> None:
    play(machine, redis_server, games=400, steps=80)
