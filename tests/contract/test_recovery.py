"""A dead worker's messages are back in their queues, once, in order; what kills workers ends among the dead letters."""

from __future__ import annotations

import json
import pickle
import threading
import time
from collections.abc import Sequence

import pytest
import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from tests.support.redis import RedisServer
from tests.support.waiting import DEADLINE, wait_until

from crewcall_worker import process, wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.reaper import Reaper, Watch
from crewcall_worker.recovery import PLAIN_SILENT_MS, Recovered, lapsed, lapsed_plain, predecessors, recover
from crewcall_worker.scripts import Scripts

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

    assert redis_server.client.zscore(KEYS.fenced(POOL), "w1") == pytest.approx(now_ms(redis_server), abs=60_000)
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


def test_no_death_convicts_where_several_suspects_had_begun(redis_server: RedisServer) -> None:
    killer, *innocent = send(redis_server, "killer", "a", "b")
    suspects = [killer, *innocent]
    for number in range(1, 5):
        die(redis_server, f"w{number}", started=suspects)
    assert redis_server.client.hgetall(KEYS.kills("sms")) == dict.fromkeys(suspects, "2")

    assert die(redis_server, "w5", started=[killer]) == Recovered("w5", returned=2, dead=(killer,))

    assert ready(redis_server) == innocent


def test_a_record_that_nobody_understands_keeps_no_job_of_its_worker(redis_server: RedisServer) -> None:
    ids = send(redis_server, "a")
    fetch(redis_server, "newer")
    record = '{"v":2,"at_ms":1,"pod":"z","queues":[{"name":"sms","weight":2},7,null]}'
    redis_server.client.hset(KEYS.workers(POOL), "newer", record)
    redis_server.client.sadd(KEYS.queues, "sms")

    assert recover(redis_server.client, "dramatiq", POOL, ["newer"], silent_ms=30_000) == [Recovered("newer", 1)]

    assert ready(redis_server) == ids


def test_a_worker_that_cannot_be_recovered_keeps_nobody_from_the_others(redis_server: RedisServer) -> None:
    ids = send(redis_server, "a")
    present(redis_server, "good")
    fetch(redis_server, "good")
    present(redis_server, "bad")
    redis_server.client.set(KEYS.acks("bad", "sms"), "no set")
    told: list[str] = []

    recovered = recover(redis_server.client, "dramatiq", POOL, ["bad", "good"], tell=told.append)

    assert recovered == [Recovered("good", returned=1)]
    assert ready(redis_server) == ids
    assert [words.partition(":")[0] for words in told] == [
        f"Worker bad of {POOL} may be dead, but what it held cannot be given back"
    ]


def test_a_reaper_outlives_strange_records_and_says_once_what_it_cannot_do(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    ids = send(redis_server, "a", "b")
    redis_server.client.sadd(KEYS.queues, "sms")
    client = redis.Redis.from_url(redis_server.url)
    for worker, name in ((b"a\xff", "not UTF-8"), (b"z", "well named")):
        client.hset(KEYS.workers(POOL), worker, '{"v":1,"at_ms":1,"pod":"z","queues":["sms"]}')
        held = client.lpop(KEYS.ready("sms"))
        assert isinstance(held, bytes), name
        client.sadd(b"dramatiq:__acks__." + worker + b".sms", held)
    client.hset(KEYS.workers(POOL), "bad", "[" * 100_000)
    present(redis_server, "bad too", silent_ms=600_000)
    redis_server.client.set(KEYS.acks("bad too", "sms"), "no set")
    present(redis_server, "self", pod="z", started_ms=5)
    reaper = Reaper(client, Watch("dramatiq", POOL, ("sms",), lapse_ms=300), lambda: "self")
    looking = threading.Thread(target=reaper.run, daemon=True)

    looking.start()
    wait_until(lambda: sorted(ready(redis_server)) == sorted(ids), "both to be recovered")
    looks = redis_server.client.hget(f"{KEYS.prefix}sweep:{POOL}", "at_ms")
    wait_until(
        lambda: redis_server.client.hget(f"{KEYS.prefix}sweep:{POOL}", "at_ms") != looks, "another look to be taken"
    )
    reaper.stop()
    looking.join(DEADLINE)
    client.close()

    assert sum("Worker bad too of" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_messages_keep_their_order(redis_server: RedisServer, protocol: int) -> None:
    sent = ["d", "b", "a", "c"]  # not the order of the ids
    for number, id_ in enumerate(sent):
        message: Message[None] = Message(
            "sms", "send", (b"\x8a",), {"n": 2**40}, {}, message_timestamp=1_790_000_000_000 + number
        )
        redis_server.client.hset(KEYS.messages("sms"), id_, pickle.dumps(message.asdict(), protocol=protocol))
        redis_server.client.rpush(KEYS.ready("sms"), id_)

    die(redis_server, "w1")

    assert ready(redis_server) == sent


def test_strays_of_one_millisecond_come_back_in_the_order_of_their_ids(redis_server: RedisServer) -> None:
    ids = [f"{number:02}" for number in range(30)]
    for id_ in ids:
        redis_server.client.hset(KEYS.messages("sms"), id_, '{"message_timestamp":1000,"options":{}}')
    redis_server.client.sadd(KEYS.acks("w1", "sms"), *ids)

    Scripts(redis_server.client, KEYS, POOL).give_back_strays("w1", "sms", [])

    assert ready(redis_server) == ids


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


def test_a_sibling_whose_process_lives_is_no_predecessor_however_silent(redis_server: RedisServer) -> None:
    for worker, of in (("living", process.identity()), ("elsewhere", "another boot/pid:[1] 1 1"), ("unknown", None)):
        record = wire.WorkerRecord(worker, pod="pod-1", host_started_ms=1_000, at_ms=1, process=of)
        redis_server.client.hset(KEYS.workers(POOL), worker, wire.write_worker(record))
    present(redis_server, "self", pod="pod-1", started_ms=2_000)

    older = predecessors(redis_server.client, "dramatiq", POOL, "self")

    assert older is not None
    assert sorted(older) == ["elsewhere", "unknown"]


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
    assert since_ms == pytest.approx(now_ms(redis_server), abs=60_000)


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


def pass_over(server: RedisServer, ms: int) -> None:
    """So much time passes for whoever remembers heartbeats that stood still, and somebody may look again."""
    remembered = f"{KEYS.prefix}plain:{POOL}"
    for worker, words in server.client.hgetall(remembered).items():
        beat, since_ms = str(words).split()
        server.client.hset(remembered, worker, f"{beat} {int(since_ms) - ms}")
    looked(server, at_ms=1_000, since_ms=90_000)
    server.client.hset(f"{KEYS.prefix}sweep:{POOL}", "plain_at_ms", 0)


def test_a_plain_workers_messages_come_back_after_dramatiqs_own_minute(redis_server: RedisServer) -> None:
    ids = send(redis_server, "a", "b")
    redis_server.client.sadd(KEYS.queues, "sms")
    for worker in ("dead", "alive"):
        fetch(redis_server, worker, count=1)
        fall_silent(redis_server, worker, 5_001)
    pass_over(redis_server, 0)
    assert look_for_plain(redis_server) == []
    pass_over(redis_server, 59_000)
    assert look_for_plain(redis_server) == []
    fall_silent(redis_server, "alive", 0)
    pass_over(redis_server, 1_001)

    assert look_for_plain(redis_server) == ["dead"]
    assert look_for_plain(redis_server) == []  # somebody has just looked
    recover(redis_server.client, "dramatiq", POOL, ["dead", "alive"], silent_ms=PLAIN_SILENT_MS)

    assert ready(redis_server) == ids[:1]
    assert redis_server.client.zscore(KEYS.heartbeats, "dead") is None
    assert redis_server.client.hkeys(f"{KEYS.prefix}plain:{POOL}") == ["alive"]


def test_a_plain_worker_whose_clock_is_behind_lives_while_its_heartbeat_moves(redis_server: RedisServer) -> None:
    send(redis_server, "a")
    redis_server.client.sadd(KEYS.queues, "sms")
    fetch(redis_server, "behind")
    for beat in range(10):
        fall_silent(redis_server, "behind", 300_000 - beat * 10_000)
        pass_over(redis_server, 61_000)
        assert look_for_plain(redis_server) == []

    assert recover(redis_server.client, "dramatiq", POOL, ["behind"], silent_ms=PLAIN_SILENT_MS) == []

    pass_over(redis_server, 61_000)
    assert look_for_plain(redis_server) == ["behind"]


def test_nobody_is_remembered_who_holds_nothing_any_more(redis_server: RedisServer) -> None:
    send(redis_server, "a")
    redis_server.client.sadd(KEYS.queues, "sms")
    fetch(redis_server, "done")
    fall_silent(redis_server, "done", 10_000)
    pass_over(redis_server, 0)
    look_for_plain(redis_server)
    assert redis_server.client.exists(f"{KEYS.prefix}plain:{POOL}")

    redis_server.client.delete(KEYS.acks("done", "sms"))
    pass_over(redis_server, 61_000)

    assert look_for_plain(redis_server) == []
    assert not redis_server.client.exists(f"{KEYS.prefix}plain:{POOL}")


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
        pass_over(redis_server, 61_000)
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
