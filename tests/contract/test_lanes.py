"""Lanes: within one queue, priorities go strictly, and organisations take turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from tests.support.redis import RedisServer
from tests.support.waiting import DEADLINE

from crewcall_worker import options, wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.outbox import Duplicate, Enqueued
from crewcall_worker.scripts import Refused, Scripts

KEYS, POOL = wire.Keys(), "shop/notifications"


@pytest.fixture
def broker(redis_server: RedisServer) -> Iterator[CrewcallBroker]:
    broker = CrewcallBroker(url=redis_server.url)
    yield broker
    broker.close()


@pytest.fixture
def scripts(redis_server: RedisServer) -> Scripts:
    scripts = Scripts(redis_server.client, KEYS, POOL)
    scripts.beat("w", "pod", '{"v":1,"queues":["sms"]}')
    return scripts


def job(label: str, organization: str | None = None, priority: int | None = None, **more: Any) -> Message[None]:
    told = {options.ORGANIZATION: organization, options.PRIORITY: priority, **more}
    return Message("sms", "send", (label,), {}, {name: value for name, value in told.items() if value is not None})


def send(broker: CrewcallBroker, *messages: Message[None]) -> None:
    assert all(isinstance(done, Enqueued) for done in broker.outbox.enqueue_many([(each, None) for each in messages]))


def fetch(scripts: Scripts, wanted: int, held: int = 0) -> list[str]:
    """The labels of what was fetched, in order."""
    fetched = scripts.fetch("w", "sms", wanted, held)
    assert not isinstance(fetched, Refused)
    return [str(Message.decode(_bytes(message.data)).args[0]) for message in fetched]


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data


def left(server: RedisServer) -> Sequence[str]:
    """Crewcall's keys of what waits."""
    return sorted(
        str(key).removeprefix(KEYS.prefix)
        for key in server.client.scan_iter(f"{KEYS.prefix}*")
        if str(key).removeprefix(KEYS.prefix).partition(":")[0] in {"lanes", "lane", "waiting"}
    )


def test_organisations_take_turns_whoever_came_first(broker: CrewcallBroker, scripts: Scripts) -> None:
    send(broker, *(job(f"a{number}", "a") for number in range(5)))
    send(broker, *(job(f"b{number}", "b") for number in range(2)), job("c0", "c"))

    assert fetch(scripts, 8) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4"]


def test_one_by_one_the_turns_are_the_same(broker: CrewcallBroker, scripts: Scripts) -> None:
    send(broker, *(job(f"a{number}", "a") for number in range(3)))
    send(broker, *(job(f"b{number}", "b") for number in range(2)), job("c0", "c"))

    assert [fetch(scripts, 1, held) for held in range(7)] == [["a0"], ["b0"], ["c0"], ["a1"], ["b1"], ["a2"], []]


def test_nobody_gains_by_sending_one_job_at_a_time(broker: CrewcallBroker, scripts: Scripts) -> None:
    send(broker, *(job(f"b{number}", "b") for number in range(3)))
    taken = []
    for number in range(3):
        send(broker, job(f"a{number}", "a"))
        taken += fetch(scripts, 2, held=2 * number)

    assert taken == ["b0", "a0", "b1", "a1", "b2", "a2"]


def test_a_priority_goes_before_all_lower_ones_of_every_organisation(broker: CrewcallBroker, scripts: Scripts) -> None:
    send(
        broker, job("low", "a", 2), job("normal", "a"), job("middle", "b", 1), job("high", "b", 0), job("none", None, 0)
    )

    assert fetch(scripts, 9) == ["high", "none", "normal", "middle", "low"]


def test_what_plain_producers_send_and_what_came_back_is_the_head(
    broker: CrewcallBroker, scripts: Scripts, redis_server: RedisServer
) -> None:
    send(broker, job("urgent", "a", 0), job("next", "a", 0))
    fetched = scripts.fetch("w", "sms", 1, 0)
    assert not isinstance(fetched, Refused)
    plain = RedisBroker(url=redis_server.url)
    plain.enqueue(job("plain"))
    plain.close()
    scripts.give_back("w", "sms", [each.id for each in fetched])

    assert fetch(scripts, 9) == ["urgent", "plain", "next"]


def test_nothing_is_left_of_lanes_that_are_empty(
    broker: CrewcallBroker, scripts: Scripts, redis_server: RedisServer
) -> None:
    send(broker, job("1", "a"), job("2", "b", 0))
    assert left(redis_server) == ["lane:sms:0:b", "lane:sms:1:a", "lanes:sms", "waiting:sms"]

    fetch(scripts, 2)

    assert left(redis_server) == []


def test_purging_a_queue_empties_its_lanes(broker: CrewcallBroker, scripts: Scripts, redis_server: RedisServer) -> None:
    send(broker, job("1", "a"), job("2", "b", 0))

    broker.flush("sms")

    assert left(redis_server) == []
    assert fetch(scripts, 9) == []


def test_an_id_in_a_lane_whose_message_a_plain_purge_took_is_passed_over(
    broker: CrewcallBroker, scripts: Scripts, redis_server: RedisServer
) -> None:
    send(broker, job("gone", "a"))
    RedisBroker.flush(broker, "sms")
    send(broker, job("there", "a"))

    assert fetch(scripts, 9) == ["there"]
    assert left(redis_server) == []
    assert redis_server.client.scard(KEYS.acks("w", "sms")) == 1


def test_a_delayed_job_comes_to_its_lane_when_it_is_due(
    broker: CrewcallBroker, scripts: Scripts, redis_server: RedisServer
) -> None:
    broker.outbox.take_part()
    broker.outbox.enqueue_many([(job("later", "a", 0), 1)])
    assert left(redis_server) == []
    sent = Message.decode(_bytes(redis_server.client.hvals(KEYS.messages("sms.DQ"))[0]))
    redis_server.client.sadd(KEYS.acks(broker.broker_id, "sms.DQ"), sent.options["redis_message_id"])
    due = sent.copy(
        queue_name="sms", options={"crewcall_promotion": (broker.broker_id, sent.options["redis_message_id"])}
    )

    broker.enqueue(due)

    assert left(redis_server) == ["lane:sms:0:a", "lanes:sms", "waiting:sms"]
    waiting = redis_server.client.zrange(KEYS.waiting("sms"), 0, -1, withscores=True)
    assert waiting == [(sent.message_id, float(sent.options["eta"]))]
    assert fetch(scripts, 1) == ["later"]


def test_many_are_enqueued_in_one_round_trip(broker: CrewcallBroker, redis_server: RedisServer) -> None:
    send(broker, job("first"))
    before = redis_server.client.info("commandstats")["cmdstat_evalsha"]["calls"]

    outcomes = broker.outbox.enqueue_many([(job(str(number), "a"), number or None) for number in range(100)])

    assert redis_server.client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1
    assert [outcome.message.args for outcome in outcomes] == [(str(number),) for number in range(100)]
    assert redis_server.client.hlen(KEYS.messages("sms.DQ")) == redis_server.client.zcard(KEYS.eta("sms")) == 99
    assert redis_server.client.zcard(KEYS.waiting("sms")) == 1


def test_more_than_one_step_takes_are_enqueued_in_their_order(broker: CrewcallBroker, scripts: Scripts) -> None:
    labels = [str(number) for number in range(1_001)]

    send(broker, *(job(label, "a") for label in labels))

    assert fetch(scripts, 1_000) == labels[:1_000]


def test_of_jobs_with_one_key_the_first_is_enqueued(broker: CrewcallBroker, redis_server: RedisServer) -> None:
    like: dict[str, Any] = {options.DEDUPE_KEY: "disk full", options.DEDUPE_FOR_MS: 300_000}
    first, second, other = job("1", "a", **like), job("2", "a", **like), job("3", "a", **{**like, "dedupe_key": "x"})

    done, duplicate, apart = broker.outbox.enqueue_many([(first, None), (second, 5_000), (other, None)])

    assert isinstance(done, Enqueued)
    assert isinstance(apart, Enqueued)
    assert duplicate == Duplicate(duplicate.message, of=first.message_id)
    assert redis_server.client.hlen(KEYS.messages("sms")) == 2
    assert redis_server.client.exists(KEYS.messages("sms.DQ")) == 0
    assert 290_000 < redis_server.client.pttl(KEYS.dedupe("sms", wire.likeness("a", "send", "disk full"))) <= 300_000


def test_a_key_is_of_one_organisation_and_one_type_of_job(broker: CrewcallBroker, redis_server: RedisServer) -> None:
    def sent(id_: str, organization: str | None, actor: str, key: str) -> Message[None]:
        told = {options.DEDUPE_KEY: key, options.DEDUPE_FOR_MS: 60_000, options.ORGANIZATION: organization}
        return Message("sms", actor, (), {}, told, message_id=id_)

    long = "k" * 10_000
    messages = [
        sent("1", "a", "send", "k"),
        sent("2", "b", "send", "k"),
        sent("3", "a", "recall", "k"),
        sent("4", None, "send", "k"),
        sent("5", "a:4", "send", "k"),
        sent("6", "a", "send", "1:a:4:send:k"),
        sent("7", "a", "send", long),
        sent("8", "a", "send", long + "!"),
    ]

    outcomes = broker.outbox.enqueue_many([(message, None) for message in messages])
    again = broker.outbox.enqueue_many([(sent("9", "a", "send", long), None)])

    assert [type(outcome) for outcome in outcomes] == [Enqueued] * 8
    assert again == [Duplicate(again[0].message, of="7")]
    assert max(len(key) for key in redis_server.client.keys("crewcall:dramatiq:dedupe:*")) < 200


def asked_twice(broker: CrewcallBroker) -> None:
    """From now on the answer to each enqueue is lost, and its client asks again, after a worker has done the jobs."""
    ask = broker.outbox._script

    def lose_the_first(**arguments: Any) -> Any:
        ask(**arguments)
        for kind in ("msgs", "DQ.msgs"):
            broker.client.delete(f"dramatiq:sms.{kind}")
        return ask(**arguments)

    broker.outbox._script = lose_the_first


@pytest.mark.parametrize("like", [{}, {options.DEDUPE_KEY: "k", options.DEDUPE_FOR_MS: 60_000}])
@pytest.mark.parametrize("organization", ["a", None])
@pytest.mark.parametrize("delay", [None, 5_000])
def test_an_enqueue_whose_answer_was_lost_is_not_done_twice(
    broker: CrewcallBroker,
    redis_server: RedisServer,
    like: dict[str, Any],
    organization: str | None,
    delay: int | None,
) -> None:
    asked_twice(broker)
    told = {**like, **({options.ORGANIZATION: organization} if organization else {})}

    outcomes = broker.outbox.enqueue_many(
        [(Message("sms", "send", (), {}, told, message_id=id_), delay) for id_ in ("1", "2")]
    )

    assert redis_server.client.exists(KEYS.messages("sms"), KEYS.messages("sms.DQ")) == 0
    second: Any = Duplicate(outcomes[1].message, of="1") if like else Enqueued(outcomes[1].message)
    assert outcomes == [Enqueued(outcomes[0].message), second]


def test_a_retry_of_a_job_that_was_tried_anew_is_no_repetition_of_an_earlier_one(
    broker: CrewcallBroker, redis_server: RedisServer
) -> None:
    retry = job("1", "a", retries=1)
    broker.outbox._thread.is_job_over = True

    for _ in range(2):
        broker.enqueue(retry)
        assert redis_server.client.delete(KEYS.messages("sms")) == 1


def test_a_retry_is_no_duplicate_of_its_first_try(broker: CrewcallBroker, redis_server: RedisServer) -> None:
    sent = broker.enqueue(job("1", "a", dedupe_key="k", dedupe_for_ms=300_000))

    broker.enqueue(sent.copy(options={"retries": 1}))

    assert redis_server.client.hlen(KEYS.messages("sms")) == 2
    assert not {options.DEDUPE_KEY, options.DEDUPE_FOR_MS} & set(sent.options)


def test_of_two_producers_at_once_one_is_told_of_the_other(broker: CrewcallBroker, redis_server: RedisServer) -> None:
    other = CrewcallBroker(url=redis_server.url)
    like: dict[str, Any] = {options.DEDUPE_KEY: "k", options.DEDUPE_FOR_MS: 60_000}
    first, second = job("1", **like), job("2", **like)

    (done,), (duplicate,) = broker.outbox.enqueue_many([(first, None)]), other.outbox.enqueue_many([(second, None)])
    again = broker.outbox.enqueue_many([(first, None)])

    assert isinstance(done, Enqueued)
    assert duplicate == Duplicate(duplicate.message, of=first.message_id)
    assert isinstance(again[0], Enqueued)  # itself, sent anew because its first answer was lost
    other.close()


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({options.PRIORITY: 10}, "priority is 10; expected a whole number from 0 to 9"),
        ({options.PRIORITY: "high"}, "priority is 'high'; expected"),
        ({options.ORGANIZATION: ""}, "organization_id is ''; expected a text that is not empty"),
        ({options.DEDUPE_KEY: "k"}, "dedupe_key is 'k' for dedupe_for_ms = None; expected a text"),
    ],
)
def test_an_option_that_is_none_is_refused_and_nothing_is_sent(
    broker: CrewcallBroker, redis_server: RedisServer, told: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words.replace("(", "\\(")):
        broker.outbox.enqueue_many([(job("good"), None), (Message("sms", "send", (), {}, told), None)])

    assert redis_server.client.exists(KEYS.messages("sms")) == 0


def test_the_first_job_of_an_empty_queues_lanes_is_hinted_at(broker: CrewcallBroker, redis_server: RedisServer) -> None:
    with redis_server.client.pubsub() as ear:
        ear.subscribe(KEYS.hints)
        assert ear.get_message(timeout=DEADLINE)["type"] == "subscribe"

        send(broker, job("1", "a"), job("2", "b"))
        redis_server.client.publish(KEYS.hints, "end")

        assert [ear.get_message(timeout=DEADLINE)["data"] for _ in range(2)] == ["sms", "end"]
