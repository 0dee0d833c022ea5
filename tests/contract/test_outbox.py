"""Sending a job: Dramatiq finds what it expects, and Crewcall what it needs, after one round trip."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import RFC_4122, UUID

import pytest
import redis
from dramatiq import Message
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from tests.support.redis import RedisServer, emptied
from tests.support.waiting import DEADLINE, wait_until

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.envelope import ordered_id
from crewcall_worker.hints import Listener

KEYS = wire.Keys("dramatiq")


@pytest.fixture
def broker(redis_server: RedisServer) -> Iterator[CrewcallBroker]:
    broker = CrewcallBroker(url=redis_server.url)
    yield broker
    broker.close()


def job(**options: object) -> Message[None]:
    return Message("sms", "send", (1,), {}, dict(options))


def now_ms(server: RedisServer) -> int:
    seconds, microseconds = server.client.time()
    return int(seconds * 1000 + microseconds // 1000)


def stored(server: RedisServer, queue: str, id_: str) -> Message[None]:
    value = server.client.hget(KEYS.messages(queue), id_)
    assert isinstance(value, str)
    return Message.decode(value.encode())


def hold_delayed(broker: CrewcallBroker, server: RedisServer, message: Message[None]) -> MessageProxy:
    """A worker with this broker has fetched a delayed message."""
    broker.outbox.take_part()
    id_ = server.client.lpop(KEYS.ready("sms.DQ"))
    assert isinstance(id_, str)
    server.client.sadd(KEYS.acks(broker.broker_id, "sms.DQ"), id_)
    held = MessageProxy(stored(server, "sms.DQ", id_))
    broker.emit_before("delay_message", held)
    assert held.message_id == message.message_id
    return held


def promote(broker: CrewcallBroker, held: MessageProxy) -> Message[None]:
    """As Dramatiq's consumer thread does when a delayed message is due (dramatiq/worker.py)."""
    due: Message[None] = held.copy(queue_name="sms")
    del due.options["eta"]
    return broker.enqueue(due)


def since(before_ms: int, server: RedisServer) -> Any:
    """A time between then and now, by Redis' clock; the producer knows it to within a second."""
    passed = now_ms(server) - before_ms
    return pytest.approx(before_ms + passed / 2, abs=1_000 + passed / 2)


def test_a_job_is_where_dramatiq_looks_for_it_and_counted(broker: CrewcallBroker, redis_server: RedisServer) -> None:
    before_ms = now_ms(redis_server)
    sent = broker.enqueue(job())

    id_ = sent.options["redis_message_id"]
    assert redis_server.client.lrange(KEYS.ready("sms"), 0, -1) == [id_]
    assert stored(redis_server, "sms", id_) == sent
    assert sent.options == {
        "redis_message_id": id_,
        "ready_at": since(before_ms, redis_server),
    }
    assert redis_server.client.hgetall(KEYS.stats("sms")) == {"enqueued": "1"}
    assert redis_server.client.smembers(KEYS.queues) == {"sms"}


def test_ready_at_is_redis_time_whatever_the_producers_clock_says(
    broker: CrewcallBroker, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1.0)
    before_ms = now_ms(redis_server)

    sent = broker.enqueue(job())

    assert sent.options["ready_at"] == since(before_ms, redis_server)


def test_ids_sort_as_they_were_made_and_are_uuids() -> None:
    quarter_us = 250
    ids = [ordered_id(1_800_000_000_000_000_000 + number * quarter_us, noise=2**62 - 1 - number) for number in range(9)]

    assert sorted(ids) == ids
    assert {(UUID(id_).version, UUID(id_).variant) for id_ in ids} == {(7, RFC_4122)}


def test_a_job_costs_one_round_trip(broker: CrewcallBroker, redis_server: RedisServer) -> None:
    broker.enqueue(job())  # the first one also asks the time, and loads the script

    before = redis_server.client.info("stats")["total_commands_processed"]
    for _ in range(10):
        broker.enqueue(job())
    after = redis_server.client.info("stats")["total_commands_processed"]

    assert calls(redis_server, "evalsha") >= 10
    # The script's own commands count as well: TIME, SET, HSETNX, RPUSH, HINCRBY.
    assert after - before <= 10 * 6 + 2


def calls(server: RedisServer, command: str) -> int:
    return int(server.client.info("commandstats")[f"cmdstat_{command}"]["calls"])


def test_a_delayed_job_is_in_the_index_and_becomes_ready_at_its_eta(
    broker: CrewcallBroker, redis_server: RedisServer
) -> None:
    before_ms = now_ms(redis_server)
    sent = broker.enqueue(job(), delay=60_000)

    id_, eta = sent.options["redis_message_id"], sent.options["eta"]
    assert sent.options["ready_at"] == eta
    assert eta - 60_000 == since(before_ms, redis_server)
    assert redis_server.client.lrange(KEYS.ready("sms.DQ"), 0, -1) == [id_]
    assert redis_server.client.zrange(KEYS.eta("sms"), 0, -1, withscores=True) == [(id_, float(eta))]
    assert redis_server.client.exists(KEYS.stats("sms")) == 0


def test_a_promotion_moves_the_job_in_one_step_and_keeps_ready_at(
    broker: CrewcallBroker, redis_server: RedisServer
) -> None:
    sent = broker.enqueue(job(), delay=1)
    held = hold_delayed(broker, redis_server, sent)

    ready = promote(broker, held)

    assert redis_server.client.lrange(KEYS.ready("sms"), 0, -1) == [ready.options["redis_message_id"]]
    assert stored(redis_server, "sms", ready.options["redis_message_id"]).options == {
        "redis_message_id": ready.options["redis_message_id"],
        "ready_at": sent.options["eta"],
    }
    acks = KEYS.acks(broker.broker_id, "sms.DQ")
    assert redis_server.client.exists(KEYS.messages("sms.DQ"), KEYS.eta("sms"), acks) == 0
    assert redis_server.client.hgetall(KEYS.stats("sms")) == {"enqueued": "1"}


def test_a_plain_producers_delayed_job_is_ready_from_its_eta_on(
    broker: CrewcallBroker, redis_server: RedisServer
) -> None:
    plain = RedisBroker(url=redis_server.url)
    sent = plain.enqueue(job(ready_at=5), delay=1)  # one that was once sent by us, and retried by a plain worker
    plain.close()

    ready = promote(broker, hold_delayed(broker, redis_server, sent))

    assert ready.options["ready_at"] == sent.options["eta"]


def test_a_second_promotion_of_the_same_message_does_nothing(broker: CrewcallBroker, redis_server: RedisServer) -> None:
    held = hold_delayed(broker, redis_server, broker.enqueue(job(), delay=1))
    promote(broker, held)

    promote(broker, held)

    assert redis_server.client.llen(KEYS.ready("sms")) == redis_server.client.hlen(KEYS.messages("sms")) == 1


def test_a_worker_taken_for_dead_promotes_nothing_that_others_have_by_now(
    broker: CrewcallBroker, redis_server: RedisServer
) -> None:
    held = hold_delayed(broker, redis_server, broker.enqueue(job(), delay=1))
    redis_server.client.delete(KEYS.acks(broker.broker_id, "sms.DQ"))

    promote(broker, held)

    assert redis_server.client.exists(KEYS.messages("sms")) == 0
    assert redis_server.client.hlen(KEYS.messages("sms.DQ")) == 1


def test_a_repeated_call_whose_answer_was_lost_does_not_double_the_job(redis_server: RedisServer) -> None:
    script = redis_server.client.register_script(wire.script("enqueue"))
    head = ["sms", "id", "", "", "", True, True, "", "", 1, "", "job", 0]
    arguments = ["dramatiq", json.dumps([head]), "message"]

    script(args=arguments)
    script(args=arguments)

    assert redis_server.client.lrange(KEYS.ready("sms"), 0, -1) == ["id"]
    assert redis_server.client.hgetall(KEYS.stats("sms")) == {"enqueued": "1"}


def test_a_plain_worker_runs_the_job_and_leaves_nothing(broker: CrewcallBroker, redis_server: RedisServer) -> None:
    sent = broker.enqueue(job())
    plain = RedisBroker(url=redis_server.url)
    consumer = plain.consume("sms", prefetch=1)

    message = next(consumer)

    assert message is not None
    assert message.message_id == sent.message_id
    consumer.ack(message)
    plain.close()
    assert redis_server.client.exists(KEYS.ready("sms"), KEYS.messages("sms")) == 0


def test_purging_a_queue_forgets_what_was_noted_of_it(broker: CrewcallBroker, redis_server: RedisServer) -> None:
    broker.enqueue(job(), delay=60_000)
    redis_server.client.hset(KEYS.kills("sms"), "x", 1)

    broker.flush("sms")

    assert redis_server.client.exists(KEYS.eta("sms"), KEYS.kills("sms"), KEYS.messages("sms.DQ")) == 0


def test_the_first_job_of_an_empty_queue_is_hinted_at_and_no_more_than_ten_times_a_second(
    redis_server: RedisServer,
) -> None:
    now = [100.0]
    broker = CrewcallBroker(url=redis_server.url)
    broker.outbox = type(broker.outbox)(broker, steady=lambda: now[0])
    heard: list[str] = []
    with redis.Redis.from_url(redis_server.url) as client:
        listener = Listener(client, {KEYS.hints: heard.append})
        listener.start()
        assert listener.listening.wait(DEADLINE)
        assert heard == [""]
        heard.clear()

        broker.enqueue(job())
        broker.enqueue(job())  # not the first
        redis_server.client.delete(KEYS.ready("sms"))
        broker.enqueue(job())  # too soon
        redis_server.client.delete(KEYS.ready("sms"))
        now[0] += 0.1
        broker.enqueue(job())
        broker.enqueue(job(), delay=1)
        redis_server.client.publish(KEYS.hints, "end")

        wait_until(lambda: heard[-1:] == ["end"], "the last hint")
        assert heard == ["sms", "sms", "sms.DQ", "end"]
        listener.stop()
        listener.join(DEADLINE)
    broker.close()


def test_a_listener_hears_again_after_redis_was_away() -> None:
    with EmbeddedRedis() as server, emptied(server) as lent, redis.Redis.from_url(server.url) as client:
        heard: list[str] = []
        listener = Listener(client, {KEYS.hints: heard.append})
        listener.start()
        assert listener.listening.wait(DEADLINE)
        server.stop()
        wait_until(lambda: not listener.listening.is_set(), "the loss to be seen")
        server.start()
        assert listener.listening.wait(DEADLINE)

        lent.client.publish(KEYS.hints, "sms")

        wait_until(lambda: heard == ["", "", "sms"], "the hint")
        listener.stop()
        listener.join(DEADLINE)


def test_a_producer_hears_that_redis_is_away() -> None:
    with EmbeddedRedis() as server:
        broker = CrewcallBroker(url=server.url)
        server.stop()

        with pytest.raises(redis.ConnectionError):
            broker.enqueue(job())


def test_a_retry_waits_for_redis_instead_of_being_lost() -> None:
    with EmbeddedRedis(keeps_data=True) as server, emptied(server) as lent:
        broker = CrewcallBroker(url=server.url)
        broker.outbox.take_part()
        broker.enqueue(job())
        server.stop()
        threads = [threading.Thread(target=lambda: retry(broker), daemon=True)]
        threads[0].start()
        server.start()

        threads[0].join(DEADLINE)
        assert lent.client.hlen(KEYS.messages("sms.DQ")) == 1
        broker.close()


def retry(broker: CrewcallBroker) -> None:
    """What Dramatiq does on a worker's thread when a job has failed."""
    failed = MessageProxy(job())
    broker.emit_after("process_message", failed, exception=RuntimeError())
    broker.enqueue(failed, delay=0)  # type: ignore[arg-type] # Dramatiq's own retries pass the proxy


def test_a_producer_needs_no_thread_so_it_may_fork(broker: CrewcallBroker) -> None:
    before = threading.active_count()

    broker.enqueue(job())

    assert threading.active_count() == before
