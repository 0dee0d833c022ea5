"""When the delayed jobs of a queue are due, read by a script from a real Redis that nobody works on."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from tests.support.redis import RedisServer

from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker

KEYS = wire.Keys("dramatiq")
MINUTE = 60_000


def send(server: RedisServer, *delays_ms: int, plain: bool = False, text: str = "") -> list[int]:
    """Delayed jobs, by a producer with the runtime or a plain one; their ETAs."""
    broker = RedisBroker(url=server.url) if plain else CrewcallBroker(url=server.url)
    sent = [
        broker.enqueue(dramatiq.Message("sms", "send", (text,), {"eta": 1}, {}), delay=delay) for delay in delays_ms
    ]
    broker.close()
    return [message.options["eta"] for message in sent]


def look(server: RedisServer, *, horizon_ms: int = 0, at_most: int = 100, cursor: str = "0") -> wire.Delayed:
    (answer,) = server.client.register_script(wire.READ_DELAYED)(args=["dramatiq", horizon_ms, at_most, "sms", cursor])
    return wire.read_delayed(answer)


def nothing(**but: object) -> wire.Delayed:
    values: dict[str, object] = {
        "indexed": 0,
        "first_ms": None,
        "due": 0,
        "unindexed": 0,
        "read_first_ms": None,
        "read_due": 0,
        "read": 0,
        "cursor": "0",
    }
    return wire.Delayed(**(values | but))  # type: ignore[arg-type] # each value is of its field's type


def test_nothing_is_delayed(redis_server: RedisServer) -> None:
    assert look(redis_server) == nothing()


def test_the_first_eta_and_what_is_due_within_the_horizon_come_from_the_index(redis_server: RedisServer) -> None:
    etas = send(redis_server, 5 * MINUTE, MINUTE, 2 * MINUTE)

    assert look(redis_server) == nothing(indexed=3, first_ms=etas[1])
    assert look(redis_server, horizon_ms=3 * MINUTE) == nothing(indexed=3, first_ms=etas[1], due=2)


def test_what_was_due_long_ago_is_due(redis_server: RedisServer) -> None:
    (eta,) = send(redis_server, -MINUTE)

    assert look(redis_server) == nothing(indexed=1, first_ms=eta, due=1)


def test_messages_that_a_worker_holds_in_memory_count_as_well(redis_server: RedisServer) -> None:
    (eta,) = send(redis_server, MINUTE)
    redis_server.client.delete(KEYS.ready("sms.DQ"))

    assert look(redis_server) == nothing(indexed=1, first_ms=eta)


def test_entries_of_messages_that_plain_workers_have_promoted_do_not_count(redis_server: RedisServer) -> None:
    (eta,) = send(redis_server, MINUTE)
    redis_server.client.zadd(KEYS.eta("sms"), {f"stale {number}": number for number in range(150)})

    assert look(redis_server) == nothing(indexed=1, first_ms=eta)
    assert look(redis_server, horizon_ms=2 * MINUTE) == nothing(indexed=1, first_ms=eta, due=1)


def test_plain_producers_messages_are_read_one_by_one(redis_server: RedisServer) -> None:
    late, soon = send(redis_server, 5 * MINUTE, MINUTE, plain=True, text='"eta":7')

    assert look(redis_server, horizon_ms=2 * MINUTE) == nothing(unindexed=2, read_first_ms=soon, read_due=1, read=2)
    assert soon < late


def test_both_kinds_are_told_apart(redis_server: RedisServer) -> None:
    (ours,) = send(redis_server, MINUTE)
    (plain,) = send(redis_server, 2 * MINUTE, plain=True)

    assert look(redis_server) == nothing(indexed=1, first_ms=ours, unindexed=1, read_first_ms=plain, read=1)


def test_a_scan_is_bounded_and_comes_to_every_message_in_the_end(redis_server: RedisServer) -> None:
    text = "x" * 100  # longer than what Redis keeps in a compact hash, of which it always gives all
    etas = send(redis_server, *range(MINUTE, MINUTE + 300), plain=True, text=text)

    seen, cursors = [look(redis_server, at_most=20)], 1
    while seen[-1].cursor != "0":
        seen.append(look(redis_server, at_most=20, cursor=seen[-1].cursor))
        cursors += 1
        assert cursors < 100

    assert max(state.read for state in seen) < 100
    assert sum(state.read for state in seen) >= 300
    assert min(state.read_first_ms for state in seen if state.read_first_ms) == etas[0]


def test_a_message_that_is_none_of_dramatiqs_json_has_no_eta(redis_server: RedisServer) -> None:
    redis_server.client.hset(KEYS.messages("sms.DQ"), "id", "\x80\x05pickled")

    assert look(redis_server, horizon_ms=MINUTE) == nothing(unindexed=1, read=1)


def test_reading_writes_nothing_and_is_allowed_to_a_reader(redis_server: RedisServer) -> None:
    send(redis_server, MINUTE)

    (answer,) = redis_server.client.eval_ro(wire.READ_DELAYED, 0, "dramatiq", "0", "100", "sms", "0")

    assert wire.read_delayed(answer).indexed == 1


def test_many_queues_are_one_call(redis_server: RedisServer) -> None:
    send(redis_server, MINUTE)

    answers = redis_server.client.register_script(wire.READ_DELAYED)(
        args=["dramatiq", 0, 100, "email", "0", "sms", "0"]
    )

    assert [wire.read_delayed(answer).indexed for answer in answers] == [0, 1]
