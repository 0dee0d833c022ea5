"""Random orders, kills, restarts and failures of Redis: no job is lost, none begun twice while its worker lives.

The workers are puppets made of the real parts, the Redis is real and keeps its data. After every step Redis must hold
each message exactly once: in its queue, or noted as one worker's.
"""

from __future__ import annotations

import dramatiq
import dramatiq.worker
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.support.puppets import ALL_QUEUES, POOL, QUEUES, Fault, Puppet
from tests.support.waiting import wait_until

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import admission, outbox, wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.recovery import predecessors, recover

KEYS = wire.Keys()
PODS = ("pod-1", "pod-2", "pod-3")
MOST_KILLS = 3
ROUNDS_TO_THE_END = 2_000

OFTEN = ("send", "go_round", "crank", "begin", "finish")
SELDOM = (
    "start",
    "beat",
    "order",
    "declare_dead",
    "recover_the_dead",
    "kill",
    "cut_off",
    "restart_consumer",
    "fail_soon",
    "restart_redis",
)
HAPPENINGS = (*OFTEN * 6, *SELDOM)


class Pool(RuleBasedStateMachine):
    """Up to three workers, one in each pod, and what is known of the jobs.

    One rule for all that can happen, so that each is as frequent as `HAPPENINGS` says: hypothesis prefers rules of
    few arguments by far.
    """

    server: EmbeddedRedis

    @initialize()
    def open(self) -> None:
        self.client = redis.Redis.from_url(self.server.url, decode_responses=True)
        self.client.flushall()
        self.producer = CrewcallBroker(url=self.server.url, middleware=[])
        self.plain = RedisBroker(url=self.server.url, middleware=[])
        self.alive: dict[str, Puppet] = {}
        self.ids: list[str] = []
        self.dead: list[str] = []  # ids of killed workers that nobody has recovered
        self.sent = 0
        self.done: set[int] = set()
        self.doubled: set[int] = set()  # jobs with two messages, for a worker declared dead has retried them
        self.deaths: dict[int, tuple[int, int]] = {}  # job -> how often its worker died holding it, running it
        self.clock = 0
        self.restarts = 0
        for pod in range(2):
            self.start(pod, 0)

    @rule(happening=st.sampled_from(HAPPENINGS), one=st.integers(0, 5), other=st.integers(0, 7))
    def happen(self, happening: str, one: int, other: int) -> None:
        """`one` chooses of those that there are to whom it happens, `other` how."""
        getattr(self, happening)(one, other)

    # What producers do

    def send(self, one: int, other: int) -> None:
        queue, broker = QUEUES[one % 2], self.plain if one > 3 else self.producer
        delay = (None, None, 0, 5)[other % 4]
        for _ in range(1 + one):
            broker.enqueue(dramatiq.Message(queue, f"work_{queue}", (self.sent,), {}, {}), delay=delay)
            self.sent += 1

    # What workers do

    def start(self, one: int, _: int) -> None:
        """A worker starts; where one died in this pod before, this proves it."""
        pod = PODS[one % len(PODS)]
        if pod in self.alive:
            return
        self.clock += 1
        puppet = self.alive[pod] = Puppet(self.server.url, pod, self.clock)
        self._note_ids(puppet)
        older = predecessors(self.client, KEYS.namespace, POOL, puppet.intake.worker_id)
        assert older is not None
        self._recover(older)

    def go_round(self, one: int, other: int) -> None:
        """A worker beats, its consumers go round a few times, and its threads begin some jobs."""
        if puppet := self._one(one):
            self.beat(one, other)
            for queue in (*ALL_QUEUES, *ALL_QUEUES, *ALL_QUEUES, *ALL_QUEUES)[other : other + 9]:
                self._crank(puppet, queue)
            for _ in range(1 + other % 3):
                self._begin(puppet)

    def crank(self, one: int, other: int) -> None:
        """One consumer goes round once."""
        if puppet := self._one(one):
            self._crank(puppet, ALL_QUEUES[other % len(ALL_QUEUES)])

    def begin(self, one: int, _: int) -> None:
        """A thread begins a job."""
        if puppet := self._one(one):
            self._begin(puppet)

    def finish(self, one: int, other: int) -> None:
        """A job ends; one in four has failed, and is to be retried."""
        running = [(puppet, run) for puppet in self.alive.values() for run in puppet.runs]
        if running:
            puppet, run = running[one % len(running)]
            is_done = other % 4 > 0
            puppet.finish(run, is_done=is_done)
            if is_done:
                self.done.add(run.job)
            elif run.is_forfeited:
                self.doubled.add(run.job)

    def beat(self, one: int, _: int) -> None:
        if puppet := self._one(one):
            puppet.beat()
            self._note_ids(puppet)

    # What the operator does

    def order(self, one: int, other: int) -> None:
        """An order, or its withdrawal; it may be heard at once."""
        if puppet := self._one(one):
            self.client.hset(KEYS.orders(POOL), puppet.pod, (wire.Order.DRAIN, wire.Order.RUN)[other % 2])
            if other > 3:
                self.beat(one, other)

    def declare_dead(self, one: int, _: int) -> None:
        """A worker that lives has been silent for the lapse: it was cut off, and does not know what is said of it."""
        if puppet := self._one(one):
            puppet.intake.seen_at -= 1_000.0
            self._note_death(puppet)
            for run in puppet.runs:
                run.is_forfeited = True
            self._recover([puppet.intake.worker_id])

    def recover_the_dead(self, _: int, __: int) -> None:
        self._recover(self.dead)

    # What goes wrong

    def kill(self, one: int, other: int) -> None:
        """A busy worker, as often as not, and as often as not with its jobs given to others at once."""
        busy = [puppet for puppet in self.alive.values() if puppet.runs]
        puppet = busy[one % len(busy)] if busy and other % 2 else self._one(one)
        if puppet:
            self._note_death(puppet)
            self._end(puppet)
            if other > 3:
                self._recover(self.dead)

    def cut_off(self, one: int, _: int) -> None:
        """The time to drain is over: the worker puts back what it runs, and ends."""
        if puppet := self._one(one):
            puppet.faults.clear()
            puppet.intake.close()
            puppet.intake.put_back()
            self._end(puppet)

    def restart_consumer(self, one: int, other: int) -> None:
        if puppet := self._one(one):
            puppet.restart(ALL_QUEUES[other % len(ALL_QUEUES)])

    def fail_soon(self, one: int, other: int) -> None:
        """Commands of a worker will be lost, or answers to them; so many that it notices, or fewer."""
        if puppet := self._one(one):
            puppet.faults.extend([list(Fault)[other % 2]] * (1 + other // 2))

    def restart_redis(self, _: int, __: int) -> None:
        if self.sent and not self.restarts:  # once in a game: it takes its time
            self.restarts += 1
            self.server.stop()
            self.server.start()
            wait_until(self._answers, "Redis to have its data again")

    # What must be true

    @invariant()
    def each_message_is_in_one_place(self) -> None:
        for queue in ALL_QUEUES:
            places = [str(id_) for id_ in self.client.lrange(KEYS.ready(queue), 0, -1)]
            for id_ in self.ids:
                places.extend(str(held) for held in self.client.smembers(KEYS.acks(id_, queue)))
            assert sorted(places) == sorted(str(id_) for id_ in self.client.hkeys(KEYS.messages(queue))), queue

    @invariant()
    def no_job_is_lost(self) -> None:
        there = {job for queue in ALL_QUEUES for job in self._jobs_in(queue)}
        dead_letters = {job for queue in QUEUES for job in self._jobs_in(queue + wire.DEAD)}
        assert set(range(self.sent)) <= there | self.done | dead_letters
        for job in dead_letters:
            held, running = self.deaths.get(job, (0, 0))
            assert (held >= MOST_KILLS, running >= MOST_KILLS - 1) == (True, True), f"job {job} has not killed so many"

    def teardown(self) -> None:
        if not hasattr(self, "client"):
            return
        for puppet in list(self.alive.values()):
            self._comes_to_know_what_it_holds(puppet)
            self._note_death(puppet)
            self._end(puppet)
        self._recover(self.ids)
        self.no_job_is_lost()
        self._work_to_the_end()
        self.no_job_is_lost()
        self.client.close()
        self.producer.close()
        self.plain.close()

    def _comes_to_know_what_it_holds(self, puppet: Puppet) -> None:
        """Whatever failed before: once Redis answers, nothing stays noted as a worker's that it does not hold."""
        puppet.faults.clear()
        for _ in range(2):
            puppet.beat()
            for queue in ALL_QUEUES:
                puppet.crank(queue)
                puppet.crank(queue)
        self._note_ids(puppet)
        for queue in ALL_QUEUES:
            noted = {str(id_) for id_ in self.client.smembers(KEYS.acks(puppet.intake.worker_id, queue))}
            held = puppet.intake.consumers[queue].held
            assert noted <= set(held), f"{queue}: some of {puppet.pod}'s messages are stranded until it dies"

    def _work_to_the_end(self) -> None:
        self.client.delete(KEYS.orders(POOL))
        self.start(0, 0)
        puppet = self.alive.pop(PODS[0])
        for _ in range(ROUNDS_TO_THE_END):
            for queue in ALL_QUEUES:
                puppet.crank(queue)
            while run := puppet.begin():
                puppet.finish(run, is_done=True)
                self.done.add(run.job)
            if not any(self.client.hlen(KEYS.messages(queue)) for queue in ALL_QUEUES):
                break
        puppet.die()
        assert {queue: self.client.hlen(KEYS.messages(queue)) for queue in ALL_QUEUES} == dict.fromkeys(ALL_QUEUES, 0)
        notes = [key for queue in QUEUES for key in (KEYS.kills(queue), KEYS.deliveries(queue), KEYS.eta(queue))]
        left = [key for key in notes if self.client.exists(key)]
        assert left == [], "something is still noted of messages that are gone"

    def _one(self, number: int) -> Puppet | None:
        return list(self.alive.values())[number % len(self.alive)] if self.alive else None

    def _crank(self, puppet: Puppet, queue: str) -> None:
        puppet.crank(queue)
        if not puppet.intake.is_open and not puppet.faults and puppet.intake.consumers[queue].is_settled:
            acks = {str(id_) for id_ in self.client.smembers(KEYS.acks(puppet.intake.worker_id, queue))}
            assert puppet.holds_only_what_it_runs(queue, acks), "a draining worker keeps what it does not run"

    def _begin(self, puppet: Puppet) -> None:
        running = [(other, run) for other in self.alive.values() for run in other.runs]
        run = puppet.begin()
        if run is None or run.job in self.doubled:
            return
        twice = [other.pod for other, earlier in running if earlier.job == run.job and not earlier.is_forfeited]
        assert not twice, f"{puppet.pod} begins job {run.job}, which {twice} runs"

    def _end(self, puppet: Puppet) -> None:
        del self.alive[puppet.pod]
        puppet.die()
        self.dead.append(puppet.intake.worker_id)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:  # it loads what it kept
            return False

    def _recover(self, workers: list[str]) -> None:
        recover(self.client, KEYS.namespace, POOL, list(workers), limit=MOST_KILLS)
        self.dead = [id_ for id_ in self.dead if id_ not in workers]

    def _note_ids(self, puppet: Puppet) -> None:
        self.ids.extend(id_ for id_ in puppet.ids if id_ not in self.ids)

    def _note_death(self, puppet: Puppet) -> None:
        running = {run.message.options["redis_message_id"] for run in puppet.runs if not run.is_forfeited}
        for queue in QUEUES:
            for id_ in self.client.smembers(KEYS.acks(puppet.intake.worker_id, queue)):
                text = self.client.hget(KEYS.messages(queue), str(id_))
                job = _job_in(str(text))
                held, run = self.deaths.get(job, (0, 0))
                self.deaths[job] = (held + 1, run + (id_ in running))

    def _jobs_in(self, queue: str) -> set[int]:
        return {_job_in(str(text)) for text in self.client.hvals(KEYS.messages(queue))}


def _job_in(text: str) -> int:
    message: dramatiq.Message[None] = dramatiq.Message.decode(text.encode())
    return int(message.args[0])


def play(monkeypatch: pytest.MonkeyPatch, *, games: int, steps: int) -> None:
    """So many games, each of up to so many steps, on a Redis that keeps its data."""
    for module, pause in (
        (outbox, "ASK_AGAIN_AFTER"),
        (admission, "ASK_AGAIN_AFTER"),
        (dramatiq.worker, "POST_PROCESS_MESSAGE_RETRY_DELAY_SECS"),
    ):
        monkeypatch.setattr(module, pause, 0)
    with EmbeddedRedis(keeps_data=True) as server:
        Pool.server = server
        run_state_machine_as_test(
            Pool,
            settings=settings(
                max_examples=games,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.explicit, Phase.reuse, Phase.generate),
                report_multiple_bugs=False,
            ),
        )


def test_no_job_is_lost_and_none_begun_twice_while_its_worker_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, games=20, steps=40)


@pytest.mark.slow
def test_no_job_is_lost_in_longer_games_either(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, games=300, steps=100)
