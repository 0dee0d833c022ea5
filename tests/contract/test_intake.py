"""What comes in and goes back, against a real Redis, one step at a time: the consumer without its threads."""

from __future__ import annotations

from collections.abc import Iterator
from queue import PriorityQueue
from threading import Event

import dramatiq
import dramatiq.worker
import pytest
from dramatiq import Message
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.redis import RedisServer
from tests.support.waiting import DEADLINE, wait_until

from crewcall_worker.admission import SURE_FOR, Admission
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.consumer import QueueConsumer
from crewcall_worker.intake import Intake
from crewcall_worker.wire import Keys, WorkerRecord, write_worker

KEYS = Keys()
PRIORITIES = (0, 5, 1)


class Hands:
    """A worker that runs nothing by itself, with one queue of three actors of differing priorities."""

    def __init__(self, server: RedisServer, prefetch: int = 8) -> None:
        self.client = server.client
        self.broker = RedisBroker(url=server.url, middleware=[])
        for priority in PRIORITIES:
            name = f"job{priority}"
            dramatiq.actor(actor_name=name, priority=priority, queue_name="sms", broker=self.broker)(nothing)
        self.worker = dramatiq.Worker(self.broker)
        self.idle = 0
        self.intake = Intake(self.broker, "pool", on_idle=self._note_idle)
        self.admission = Admission(self.intake)
        self.intake.before_worker_boot(self.broker, self.worker)
        self.register()
        self.intake.open()
        self.consumer = self.intake.consume("sms", prefetch, 1)

    def _note_idle(self) -> None:
        self.idle += 1

    def register(self) -> None:
        record = write_worker(WorkerRecord(self.intake.worker_id))
        self.intake.scripts.beat(self.intake.worker_id, "pod", record)

    def send(self, count: int) -> list[str]:
        """Messages sent a millisecond apart; their ids in Redis."""
        messages: list[Message[None]] = [
            Message("sms", f"job{PRIORITIES[job % 3]}", (), {}, {}, message_timestamp=job) for job in range(count)
        ]
        return [self.broker.enqueue(message).options["redis_message_id"] for message in messages]

    def take(self, count: int) -> None:
        """Let so many messages come in and wait for a thread."""
        for _ in range(count):
            message = next(self.consumer)
            assert message is not None
            actor = self.broker.get_actor(message.actor_name)
            self.waiting.put(Item(actor.priority, message))

    @property
    def waiting(self) -> PriorityQueue[Item]:
        waiting = self.intake.prefetched()
        assert waiting is not None
        return waiting

    def begin(self) -> MessageProxy:
        """A thread begins the next job."""
        message = self.waiting.get().message
        assert self.admission.may_begin(message)
        self.intake.before_process_message(self.broker, message)
        return message

    def may_begin(self) -> bool:
        """Whether a thread may begin the next job; it is taken either way."""
        return self.admission.may_begin(self.waiting.get().message)

    def hand_back(self) -> None:
        self.intake.close()
        assert next(self.consumer) is None

    def queued(self) -> list[str]:
        return [str(id_) for id_ in self.client.lrange("dramatiq:sms", 0, -1)]


def nothing() -> None:
    """A job."""


class Item:
    """As Dramatiq's own: ordered by priority, and the message is not compared."""

    def __init__(self, priority: int, message: MessageProxy) -> None:
        self.priority, self.message = priority, message

    def __lt__(self, other: Item) -> bool:
        return self.priority < other.priority


def id_of(message: MessageProxy) -> str:
    return str(message.options["redis_message_id"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sent=st.integers(0, 20),
    prefetch=st.integers(1, 16),
    taken=st.integers(0, 16),
    begun=st.integers(0, 16),
    done=st.integers(0, 16),
    late=st.integers(0, 3),
)
def test_the_queue_reads_as_if_what_was_not_begun_had_never_been_fetched(
    redis_server: RedisServer, sent: int, prefetch: int, taken: int, begun: int, done: int, late: int
) -> None:
    redis_server.client.flushall()
    hands = Hands(redis_server, prefetch)
    ids = hands.send(sent)
    hands.take(min(taken, prefetch, sent))
    running = [hands.begin() for _ in range(min(begun, taken, prefetch, sent))]
    for message in running[:done]:
        hands.consumer.ack(message)
    came_late = hands.send(late)

    hands.hand_back()

    gone = {id_of(message) for message in running}
    assert hands.queued() == [id_ for id_ in ids if id_ not in gone] + came_late
    assert set(hands.consumer.held) == {id_of(message) for message in running[done:]}
    assert hands.client.smembers(KEYS.acks(hands.intake.worker_id, "sms")) == set(hands.consumer.held)
    assert hands.intake.is_idle() == (not running[done:])
    assert hands.waiting.unfinished_tasks == len(running)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delays=st.lists(st.integers(60_000, 90_000), max_size=12), taken=st.integers(0, 12))
def test_delayed_messages_in_memory_go_back_in_the_order_of_their_queue(
    redis_server: RedisServer, delays: list[int], taken: int
) -> None:
    redis_server.client.flushall()
    hands = Hands(redis_server)
    message = hands.broker.get_actor("job0").message()
    ids = [hands.broker.enqueue(message, delay=delay).options["redis_message_id"] for delay in delays]
    thread = hands.worker.consumers["sms.DQ"] = dramatiq.worker.ConsumerThread(
        broker=hands.broker, queue_name="sms.DQ", prefetch=12, work_queue=hands.worker.work_queue, worker_timeout=1
    )
    consumer = hands.intake.consume("sms.DQ", 12, 1)
    for _ in range(min(taken, len(ids))):
        fetched = next(consumer)
        assert fetched is not None
        thread.handle_message(fetched)

    hands.intake.close()
    next(consumer)

    assert redis_server.client.lrange("dramatiq:sms.DQ", 0, -1) == ids
    assert consumer.held == {}
    assert thread.delay_queue.unfinished_tasks == 0


def test_who_has_no_record_gets_nothing(redis_server: RedisServer) -> None:
    hands = Hands(redis_server)
    ids = hands.send(2)
    redis_server.client.delete(KEYS.workers("pool"))

    assert next(hands.consumer) is None
    assert hands.queued() == ids

    hands.register()
    assert (message := next(hands.consumer)) is not None
    assert id_of(message) == ids[0]


def test_messages_whose_fetch_was_never_answered_come_back_in_order(redis_server: RedisServer) -> None:
    hands = Hands(redis_server, prefetch=2)
    ids = hands.send(4)
    hands.intake.scripts.fetch(hands.intake.worker_id, "sms", 3, 0)  # the answer is lost
    assert hands.queued() == ids[3:]

    assert [id_of(message) for _ in range(2) if (message := next(hands.consumer))] == ids[:2]
    assert hands.queued() == ids[2:]


def test_an_id_that_is_in_the_list_twice_is_run_once(redis_server: RedisServer) -> None:
    hands = Hands(redis_server)
    (id_,) = hands.send(1)
    redis_server.client.rpush("dramatiq:sms", id_)
    hands.take(1)

    assert next(hands.consumer) is None


def test_an_id_without_a_message_is_dropped(redis_server: RedisServer) -> None:
    hands = Hands(redis_server)
    redis_server.client.rpush("dramatiq:sms", "ghost")

    assert next(hands.consumer) is None
    assert redis_server.client.keys("dramatiq:*") == ["dramatiq:__heartbeats__"]


def test_what_is_no_message_becomes_a_dead_letter_and_the_next_one_comes(redis_server: RedisServer) -> None:
    hands = Hands(redis_server)
    redis_server.client.hset("dramatiq:sms.msgs", "junk", "{")
    redis_server.client.rpush("dramatiq:sms", "junk")
    (id_,) = hands.send(1)

    assert (message := next(hands.consumer)) is not None
    assert id_of(message) == id_
    assert redis_server.client.hgetall("dramatiq:sms.XQ.msgs") == {"junk": "{"}
    assert redis_server.client.zrange("dramatiq:sms.XQ", 0, -1) == ["junk"]
    assert list(hands.consumer.held) == [id_]


def test_counts_of_a_message_go_with_it(redis_server: RedisServer) -> None:
    hands = Hands(redis_server)
    acked, dead = hands.send(2)
    for key in (KEYS.kills("sms"), KEYS.deliveries("sms")):
        redis_server.client.hset(key, mapping={acked: 1, dead: 2, "other": 3})
    hands.take(2)
    by_id = {id_of(message): message for message in (hands.begin(), hands.begin())}
    assert redis_server.client.smembers(KEYS.started(hands.intake.worker_id)) == {acked, dead}

    hands.consumer.ack(by_id[acked])
    hands.consumer.nack(by_id[dead])

    assert [redis_server.client.hgetall(key) for key in (KEYS.kills("sms"), KEYS.deliveries("sms"))] == [
        {"other": "3"},
        {"other": "3"},
    ]
    assert redis_server.client.hkeys("dramatiq:sms.XQ.msgs") == [dead]
    assert hands.consumer.held == {}


def test_under_a_new_id_nothing_of_the_old_one_is_begun_and_acknowledging_it_changes_nothing(
    redis_server: RedisServer,
) -> None:
    hands = Hands(redis_server)
    hands.send(3)
    hands.take(2)
    running = hands.begin()
    given_away(hands)

    hands.intake.renew("another")
    assert not hands.may_begin()
    hands.consumer.ack(running)

    assert redis_server.client.hlen("dramatiq:sms.msgs") == 3


def test_what_was_taken_from_this_worker_and_comes_back_to_it_is_not_begun_twice(redis_server: RedisServer) -> None:
    hands = Hands(redis_server, prefetch=2)
    first, second = hands.send(2)
    hands.take(2)
    running = hands.begin()
    given_away(hands)
    redis_server.client.lpush("dramatiq:sms", second, first)

    hands.intake.renew("another")
    hands.register()
    assert (message := next(hands.consumer)) is not None
    assert id_of(message) == second
    hands.consumer.ack(running)

    assert redis_server.client.hkeys("dramatiq:sms.msgs") == [second]


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_worker_unseen_for_long_asks_before_it_begins_a_job(redis_server: RedisServer, is_ours: bool) -> None:
    hands = Hands(redis_server)
    hands.send(1)
    hands.take(1)
    hands.intake.seen_at -= SURE_FOR
    if is_ours:
        hands.begin()
        return
    given_away(hands)

    assert not hands.may_begin()


def given_away(hands: Hands) -> None:
    """All that the worker has is another's by now."""
    hands.client.delete(KEYS.acks(hands.intake.worker_id, "sms"))


class Seen(Middleware):
    """What a project's middleware hears of each message."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def before_process_message(self, _broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.heard.append(("begins", message.message_id))

    def after_process_message(
        self,
        _broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: object = None,
        exception: BaseException | None = None,
    ) -> None:
        del result, exception
        self.heard.append(("ends", message.message_id))

    def after_skip_message(self, _broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.heard.append(("skipped", message.message_id))

    def after_ack(self, _broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.heard.append(("ack", message.message_id))

    def after_nack(self, _broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.heard.append(("nack", message.message_id))


def test_nobody_hears_of_a_message_that_is_anothers_and_the_others_result_stays(redis_server: RedisServer) -> None:
    seen, results = Seen(), RedisBackend(url=redis_server.url)
    broker = RedisBroker(url=redis_server.url, middleware=[Results(backend=results, store_results=True), seen])
    begun, gate = Event(), Event()

    @dramatiq.actor(queue_name="sms", broker=broker)
    def work() -> str:
        begun.set()
        gate.wait(DEADLINE)
        return "done here"

    intake = Intake(broker, "pool")
    intake.take_part()
    Admission(intake).take_part()
    intake.scripts.beat(intake.worker_id, "pod", write_worker(WorkerRecord(intake.worker_id)))
    runs, waits = work.send(), work.send()
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=10)
    worker.start()
    intake.open()
    try:
        assert begun.wait(DEADLINE)
        wait_until(lambda: len(intake.consumers["sms"].held) == 2, "the second message to be fetched")
        intake.seen_at -= SURE_FOR  # as if it had stood still
        redis_server.client.srem(KEYS.acks(intake.worker_id, "sms"), waits.options["redis_message_id"])
        results.store_result(waits, "done elsewhere", 60_000)

        gate.set()
        wait_until(lambda: not intake.consumers["sms"].held, "both to be let go")
    finally:
        gate.set()
        worker.stop()
        broker.close()

    assert [results.get_result(message) for message in (runs, waits)] == ["done here", "done elsewhere"]
    assert seen.heard == [(what, runs.message_id) for what in ("begins", "ends", "ack")]
    assert redis_server.client.hkeys("dramatiq:sms.msgs") == [waits.options["redis_message_id"]]
    assert worker.work_queue.unfinished_tasks == 0
    results.client.close()


def test_delayed_messages_that_a_failed_thread_has_forgotten_are_fetched_again(redis_server: RedisServer) -> None:
    hands = Hands(redis_server)
    message = hands.broker.get_actor("job0").message()
    ids = [hands.broker.enqueue(message, delay=60_000).options["redis_message_id"] for _ in range(2)]
    consumer = hands.intake.consume("sms.DQ", 8, 1)
    assert [id_of(fetched) for _ in ids if (fetched := next(consumer))] == ids

    consumer = hands.intake.consume("sms.DQ", 8, 1)

    assert {id_of(fetched) for _ in ids if (fetched := next(consumer))} == set(ids)
    assert set(consumer.held) == set(ids)


FAR, SOON = 3_600_000, 3_000


@pytest.fixture
def producer(redis_server: RedisServer) -> Iterator[CrewcallBroker]:
    broker = CrewcallBroker(url=redis_server.url, middleware=[])
    broker.declare_queue("sms")
    yield broker
    broker.close()


def delayed(broker: RedisBroker, *delays: int) -> list[str]:
    """Messages sent with these delays in ms; their ids in Redis."""
    messages: list[Message[None]] = [Message("sms", "job0", (), {}, {}) for _ in delays]
    return [
        str(broker.enqueue(message, delay=delay).options["redis_message_id"])
        for message, delay in zip(messages, delays, strict=True)
    ]


def taken(consumer: QueueConsumer) -> list[str]:
    """What the consumer takes until there is no more for it."""
    return [id_of(message) for message in iter(lambda: next(consumer), None)]


def test_there_is_room_for_delayed_messages_until_the_memory_is_full(redis_server: RedisServer) -> None:
    hands = Hands(redis_server)
    ids = delayed(hands.broker, *[FAR] * 7)
    consumer = hands.intake.consume("sms.DQ", 8, 1)
    assert taken(consumer) == ids

    ids = delayed(hands.broker, SOON, FAR)

    assert taken(consumer) == ids[:1]
    assert redis_server.client.lrange("dramatiq:sms.DQ", 0, -1) == ids[1:]


def test_what_is_due_soon_gets_into_a_memory_full_of_what_is_not(
    redis_server: RedisServer, producer: CrewcallBroker
) -> None:
    hands = Hands(redis_server)
    far = delayed(producer, *[FAR] * 6)
    consumer = hands.intake.consume("sms.DQ", 4, 1)

    later, soon, behind = delayed(producer, SOON, SOON // 2, FAR)

    assert taken(consumer) == [*far[:4], soon, later]
    assert redis_server.client.lrange("dramatiq:sms.DQ", 0, -1) == [*far[4:], behind]
    assert redis_server.client.smembers(KEYS.acks(hands.intake.worker_id, "sms.DQ")) == {*far[:4], soon, later}


def test_no_more_than_the_memory_holds_gets_into_a_full_one(
    redis_server: RedisServer, producer: CrewcallBroker
) -> None:
    hands = Hands(redis_server)
    far = delayed(producer, FAR, FAR)
    consumer = hands.intake.consume("sms.DQ", 2, 1)
    assert taken(consumer) == far

    soon = delayed(producer, *[SOON] * 3)
    wait_until(lambda: next(consumer) is not None, "it to look again")

    assert len(taken(consumer)) == 1
    assert redis_server.client.llen("dramatiq:sms.DQ") == 1
    assert len(set(consumer.held) & set(soon)) == 2


def test_what_another_worker_holds_and_what_is_gone_is_left_alone(
    redis_server: RedisServer, producer: CrewcallBroker
) -> None:
    hands, other = Hands(redis_server), Hands(redis_server)
    others = delayed(producer, SOON)
    assert taken(other.intake.consume("sms.DQ", 4, 1)) == others
    redis_server.client.zadd(KEYS.eta("sms"), {"promoted by a plain worker": 1})
    far = delayed(producer, FAR, FAR)
    consumer = hands.intake.consume("sms.DQ", 1, 1)
    soon = delayed(producer, SOON)

    assert taken(consumer) == [far[0], *soon]
    assert redis_server.client.smembers(KEYS.acks(other.intake.worker_id, "sms.DQ")) == set(others)


def test_it_is_always_the_same_consumer_for_what_it_holds_outlives_its_thread(redis_server: RedisServer) -> None:
    hands = Hands(redis_server)
    hands.send(1)
    hands.take(1)

    again = hands.intake.consume("sms", 8, 1)

    assert isinstance(again, QueueConsumer)
    assert again is hands.consumer
    assert len(again.held) == 1
