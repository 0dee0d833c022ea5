"""A dead worker's messages are back in their queues, once, in order; what kills workers ends among the dead letters."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import pytest
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.recovery import PLAIN_SILENT_MS, Recovered, lapsed, lapsed_plain, predecessors, recover

KEYS = wire.Keys("dramatiq")
POOL = "shop/pool"


def now_ms(server: RedisServer) -> int:
    seconds, microseconds = server.client.time()
    return int(seconds * 1000 + microseconds // 1000)


def present(server: RedisServer, worker: str, *, pod: str = "pod-1", started_ms: int = 0, silent_ms: int = 0) -> None:
    """A worker is on record, and was last heard of `silent_ms` ago."""
    record = wire.WorkerRecord(
        worker,
        state=wire.WorkerState.RUNNING,
        pod=pod,
        host_started_ms=started_ms,
        queues=("sms",),
        at_ms=now_ms(server) - silent_ms,
    )
    server.client.hset(KEYS.workers(POOL), worker, wire.write_worker(record))
    server.client.zadd(KEYS.heartbeats, {worker: now_ms(server) - silent_ms})


def send(server: RedisServer, *names: str, delay: int | None = None, **options: object) -> list[str]:
    """Messages sent by a plain producer, a millisecond apart; their ids in Redis."""
    broker = RedisBroker(url=server.url, namespace="dramatiq")
    sent = [
        broker.enqueue(
            Message("sms", "send", ([],), {"name": name}, dict(options), message_timestamp=1_000 + number), delay=delay
        )
        for number, name in enumerate(names)
    ]
    broker.close()
    return [message.options["redis_message_id"] for message in sent]


def fetch(server: RedisServer, worker: str, queue: str = "sms", count: int = 10) -> None:
    """The worker fetches, and is never heard of again."""
    ids = server.client.lpop(KEYS.ready(queue), count) or []
    assert isinstance(ids, list)
    if ids:
        server.client.sadd(KEYS.acks(worker, queue), *ids)


def ready(server: RedisServer, queue: str = "sms") -> list[str]:
    return [str(id_) for id_ in server.client.lrange(KEYS.ready(queue), 0, -1)]


def text(server: RedisServer, key: str, field: str) -> str:
    value = server.client.hget(key, field)
    assert isinstance(value, str)
    return value


def die(server: RedisServer, worker: str, *, started: Sequence[str] = ()) -> Recovered:
    """A worker fetches all there is, begins these suspects, and dies."""
    present(server, worker)
    fetch(server, worker)
    if started:
        server.client.sadd(KEYS.started(worker), *started)
    (recovered,) = recover(server.client, "dramatiq", POOL, [worker])
    return recovered


def test_gives_the_messages_back_to_the_head_oldest_first(redis_server: RedisServer) -> None:
    first = send(redis_server, "a", "b", "c")
    present(redis_server, "w1")
    fetch(redis_server, "w1")
    later = send(redis_server, "d")

    assert recover(redis_server.client, "dramatiq", POOL, ["w1"]) == [Recovered("w1", returned=3)]

    assert ready(redis_server) == first + later


def test_orders_by_when_a_job_became_ready_rather_than_by_when_it_was_first_sent(redis_server: RedisServer) -> None:
    (retried,) = send(redis_server, "a", ready_at=9_000)
    (fresh,) = send(redis_server, "b", ready_at=8_000)

    die(redis_server, "w1")

    assert ready(redis_server) == [fresh, retried]


def test_jobs_that_became_ready_in_one_millisecond_keep_their_order(redis_server: RedisServer) -> None:
    broker = CrewcallBroker(url=redis_server.url)
    sent = [broker.enqueue(Message("sms", "send", (), {}, {})) for _ in range(50)]
    broker.close()
    present(redis_server, "w1")
    fetch(redis_server, "w1", count=50)
    recover(redis_server.client, "dramatiq", POOL, ["w1"])

    assert ready(redis_server) == [message.options["redis_message_id"] for message in sent]


def test_a_second_time_changes_nothing(redis_server: RedisServer) -> None:
    ids = send(redis_server, "a", "b")
    die(redis_server, "w1")

    assert recover(redis_server.client, "dramatiq", POOL, ["w1"]) == [Recovered("w1", returned=0)]

    assert ready(redis_server) == ids
    assert redis_server.client.hgetall(KEYS.kills("sms")) == dict.fromkeys(ids, "1")


def test_leaves_no_trace_of_the_worker_but_its_fence(redis_server: RedisServer) -> None:
    send(redis_server, "a")
    die(redis_server, "w1", started=["x"])

    assert redis_server.client.zscore(KEYS.fenced(POOL), "w1") == pytest.approx(now_ms(redis_server), abs=5_000)
    assert redis_server.client.exists(KEYS.workers(POOL), KEYS.acks("w1", "sms"), KEYS.started("w1")) == 0
    assert redis_server.client.zscore(KEYS.heartbeats, "w1") is None


def test_a_fence_is_taken_down_after_a_day(redis_server: RedisServer) -> None:
    redis_server.client.zadd(KEYS.fenced(POOL), {"old": now_ms(redis_server) - wire.FENCED_FOR_MS - 1})

    die(redis_server, "w1")

    assert redis_server.client.zrange(KEYS.fenced(POOL), 0, -1) == ["w1"]


def test_a_message_that_was_acknowledged_meanwhile_does_not_come_back(redis_server: RedisServer) -> None:
    done, open_ = send(redis_server, "a", "b")
    present(redis_server, "w1")
    fetch(redis_server, "w1")
    redis_server.client.hdel(KEYS.messages("sms"), done)

    assert recover(redis_server.client, "dramatiq", POOL, ["w1"]) == [Recovered("w1", returned=1)]
    assert ready(redis_server) == [open_]


def test_delayed_messages_held_in_memory_come_back_and_kill_nobody(redis_server: RedisServer) -> None:
    ids = send(redis_server, "a", "b", delay=60_000)
    present(redis_server, "w1")
    fetch(redis_server, "w1", "sms.DQ")

    assert recover(redis_server.client, "dramatiq", POOL, ["w1"]) == [Recovered("w1", returned=2)]

    assert sorted(ready(redis_server, "sms.DQ")) == sorted(ids)
    assert redis_server.client.exists(KEYS.kills("sms")) == 0


def test_finds_queues_of_the_registry_that_a_lost_record_cannot_name(redis_server: RedisServer) -> None:
    ids = send(redis_server, "a")
    fetch(redis_server, "w1")
    redis_server.client.sadd(KEYS.queues, "sms")

    assert recover(redis_server.client, "dramatiq", POOL, ["w1"]) == [Recovered("w1", returned=1)]
    assert ready(redis_server) == ids


def test_a_message_that_killed_three_workers_is_a_dead_letter_that_says_why(redis_server: RedisServer) -> None:
    (killer,) = send(redis_server, "killer")
    assert die(redis_server, "w1") == Recovered("w1", returned=1)
    assert die(redis_server, "w2", started=[killer]) == Recovered("w2", returned=1)

    assert die(redis_server, "w3", started=[killer]) == Recovered("w3", returned=0, dead=(killer,))

    assert redis_server.client.exists(KEYS.ready("sms"), KEYS.messages("sms"), KEYS.kills("sms")) == 0
    assert redis_server.client.exists(KEYS.deliveries("sms")) == 0
    assert redis_server.client.zrange(KEYS.dead("sms"), 0, -1) == [killer]
    message = Message.decode(text(redis_server, KEYS.messages("sms.XQ"), killer).encode())
    reason = (
        "Crewcall: 3 workers were killed while they ran this job, so it is not run again. The last was w3 in pod-1."
    )
    assert (message.args, message.kwargs) == (([],), {"name": "killer"})
    assert message.options == {"redis_message_id": killer, "crewcall_dead_reason": reason, "traceback": reason}


def test_the_reason_of_a_dead_letter_spares_the_traceback_that_is_there_and_arguments_that_look_alike(
    redis_server: RedisServer,
) -> None:
    (killer,) = send(redis_server, '"options":{"redis_message_id":"x"}', traceback="of old")
    die(redis_server, "w1")
    die(redis_server, "w2", started=[killer])
    die(redis_server, "w3", started=[killer])

    message = json.loads(text(redis_server, KEYS.messages("sms.XQ"), killer))
    assert message["kwargs"] == {"name": '"options":{"redis_message_id":"x"}'}
    assert message["options"]["traceback"] == "of old"
    assert message["options"]["crewcall_dead_reason"].startswith("Crewcall: 3 workers were killed")


def test_messages_merely_prefetched_next_to_a_killer_are_never_blamed(redis_server: RedisServer) -> None:
    killer, *innocent = send(redis_server, "killer", "a", "b")
    die(redis_server, "w1")
    die(redis_server, "w2", started=[killer])
    die(redis_server, "w3", started=[killer])
    for number in range(4, 9):
        die(redis_server, f"w{number}")

    assert ready(redis_server) == innocent
    assert redis_server.client.hgetall(KEYS.kills("sms")) == dict.fromkeys(innocent, "1")
    assert redis_server.client.zrange(KEYS.dead("sms"), 0, -1) == [killer]


def test_one_death_cannot_tell_the_killer_so_the_limit_is_at_least_two(redis_server: RedisServer) -> None:
    with pytest.raises(ValueError, match="limit is 1; it must be at least 2"):
        recover(redis_server.client, "dramatiq", POOL, ["w1"], limit=1)


def test_a_worker_that_spoke_meanwhile_is_spared(redis_server: RedisServer) -> None:
    send(redis_server, "a")
    present(redis_server, "w1", silent_ms=1_000)
    fetch(redis_server, "w1")

    assert recover(redis_server.client, "dramatiq", POOL, ["w1", "unknown"], silent_ms=30_000) == []

    assert ready(redis_server) == []
    assert redis_server.client.hexists(KEYS.workers(POOL), "w1")


def test_predecessors_are_the_older_ones_of_the_same_pod(redis_server: RedisServer) -> None:
    present(redis_server, "older", pod="pod-1", started_ms=1_000)
    present(redis_server, "other", pod="pod-2", started_ms=1_000)
    present(redis_server, "self", pod="pod-1", started_ms=2_000)
    redis_server.client.hset(KEYS.workers(POOL), "newer version", '{"v": 99, "pod": "pod-1", "host_started_ms": 1}')

    assert predecessors(redis_server.client, "dramatiq", POOL, "self") == ["older"]


def test_who_is_not_on_record_has_no_predecessors_yet(redis_server: RedisServer) -> None:
    present(redis_server, "older", pod="pod-1", started_ms=1_000)

    assert predecessors(redis_server.client, "dramatiq", POOL, "self") is None


def look(server: RedisServer, lapse_ms: int = 1_000, period_ms: int = 1) -> list[str]:
    return lapsed(server.client, "dramatiq", POOL, lapse_ms=lapse_ms, period_ms=period_ms)


def looked(server: RedisServer, *, at_ms: int, since_ms: int) -> None:
    """Somebody last looked so many ms ago; until `since_ms` ago nobody could."""
    now = now_ms(server)
    server.client.hset(f"{KEYS.prefix}sweep:{POOL}", mapping={"at_ms": now - at_ms, "since_ms": now - since_ms})


def test_a_worker_that_is_silent_for_longer_than_the_lapse_is_dead(redis_server: RedisServer) -> None:
    present(redis_server, "silent", silent_ms=30_001)
    present(redis_server, "beating", silent_ms=900)
    redis_server.client.hset(KEYS.workers(POOL), "newer version", '{"v": 99, "seen": 1}')
    looked(redis_server, at_ms=3_000, since_ms=40_000)

    assert look(redis_server, lapse_ms=30_000, period_ms=3_000) == ["silent"]


def test_only_one_of_many_looks_within_a_period(redis_server: RedisServer) -> None:
    present(redis_server, "silent", silent_ms=60_000)
    looked(redis_server, at_ms=2_500, since_ms=90_000)

    assert look(redis_server, lapse_ms=30_000, period_ms=3_000) == []


@pytest.mark.parametrize("gap_ms", [9_001, 600_000, -600_000])
def test_after_a_gap_in_which_nobody_could_write_nobody_is_dead(redis_server: RedisServer, gap_ms: int) -> None:
    """As after an outage of Redis, or all processes standing still, or a failover to another clock."""
    present(redis_server, "silent", silent_ms=600_000)
    looked(redis_server, at_ms=gap_ms, since_ms=900_000)

    assert look(redis_server, lapse_ms=30_000, period_ms=3_000) == []

    since_ms = int(text(redis_server, f"{KEYS.prefix}sweep:{POOL}", "since_ms"))
    assert since_ms == pytest.approx(now_ms(redis_server), abs=5_000)


def test_who_stays_silent_for_the_lapse_after_a_gap_is_dead(redis_server: RedisServer) -> None:
    present(redis_server, "silent", silent_ms=600_000)
    since = time.monotonic()
    assert look(redis_server, lapse_ms=300, period_ms=100) == []

    wait_until(lambda: look(redis_server, lapse_ms=300, period_ms=100) == ["silent"], "the lapse to pass")

    assert time.monotonic() - since >= 0.3


def fall_silent(server: RedisServer, worker: str, silent_ms: int) -> None:
    """A worker without the runtime, or a producer, was last heard of so long ago."""
    server.client.zadd(KEYS.heartbeats, {worker: now_ms(server) - silent_ms})


def look_for_plain(server: RedisServer) -> list[str]:
    return lapsed_plain(server.client, "dramatiq", POOL, period_ms=5_000)


def test_a_plain_workers_messages_come_back_after_dramatiqs_own_minute(redis_server: RedisServer) -> None:
    ids = send(redis_server, "a", "b")
    redis_server.client.sadd(KEYS.queues, "sms")
    for worker, silent_ms in (("dead", 60_001), ("alive", 59_000)):
        fetch(redis_server, worker, count=1)
        fall_silent(redis_server, worker, silent_ms)
    looked(redis_server, at_ms=1_000, since_ms=61_000)

    assert look_for_plain(redis_server) == ["dead"]
    assert look_for_plain(redis_server) == []  # somebody has just looked
    recover(redis_server.client, "dramatiq", POOL, ["dead", "alive"], silent_ms=PLAIN_SILENT_MS)

    assert ready(redis_server) == ids[:1]
    assert redis_server.client.zscore(KEYS.heartbeats, "dead") is None


def test_plain_workers_are_not_dead_after_an_outage(redis_server: RedisServer) -> None:
    send(redis_server, "a")
    redis_server.client.sadd(KEYS.queues, "sms")
    fetch(redis_server, "silent")
    fall_silent(redis_server, "silent", 600_000)
    looked(redis_server, at_ms=1_000, since_ms=59_000)

    assert look_for_plain(redis_server) == []


def test_of_many_silent_producers_each_has_its_turn_and_the_long_gone_are_struck_off(
    redis_server: RedisServer,
) -> None:
    send(redis_server, "a")
    redis_server.client.sadd(KEYS.queues, "sms")
    redis_server.client.delete(KEYS.heartbeats)
    for number in range(30):
        fall_silent(redis_server, f"long gone {number}", 8 * 86_400_000 + number)
        fall_silent(redis_server, f"gone {number}", 3_600_000 + number)
        fall_silent(redis_server, f"just gone {number}", 70_000 + number)
    fetch(redis_server, "dead")
    fall_silent(redis_server, "dead", 1_800_000)  # neither among the last nor the first ones

    found = []
    for _ in range(10):
        looked(redis_server, at_ms=1_000, since_ms=61_000)
        redis_server.client.hset(f"{KEYS.prefix}sweep:{POOL}", "plain_at_ms", 0)
        found.extend(look_for_plain(redis_server))

    assert set(found) == {"dead"}
    assert redis_server.client.zcard(KEYS.heartbeats) == 61


def test_looking_clears_the_index_of_what_is_delayed_no_more_and_old_dead_letters(redis_server: RedisServer) -> None:
    (delayed,) = send(redis_server, "a", delay=60_000)
    redis_server.client.sadd(KEYS.queues, "sms")
    redis_server.client.zadd(KEYS.eta("sms"), {delayed: 1, "promoted by a plain worker": 2})
    now = now_ms(redis_server)
    redis_server.client.zadd(KEYS.dead("sms"), {"old": now - 8 * 86_400_000, "young": now - 6 * 86_400_000})
    redis_server.client.hset(KEYS.messages("sms.XQ"), mapping={"old": "{}", "young": "{}"})

    look(redis_server)

    assert redis_server.client.zrange(KEYS.eta("sms"), 0, -1) == [delayed]
    assert redis_server.client.zrange(KEYS.dead("sms"), 0, -1) == ["young"]
    assert redis_server.client.hkeys(KEYS.messages("sms.XQ")) == ["young"]
