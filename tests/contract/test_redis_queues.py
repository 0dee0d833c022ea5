"""What the reader makes of Dramatiq's keys, whatever is in them, on a real Redis; no worker is needed here."""

from __future__ import annotations

import json
import pickle
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from tests.support.redis import RedisServer, a_pool, emptied
from tests.support.waiting import DEADLINE, wait_until

from crewcall_operator.adapters import redis_links
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_operator.adapters.redis_queues import RedisQueues
from crewcall_operator.api.pool import Pool
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.errors import QueueUnavailable

NOW = 1_800_000_000.0


@pytest.fixture
async def reader() -> AsyncIterator[RedisQueues]:
    queues = RedisQueues(wall_clock=lambda: NOW, timeout=DEADLINE)
    yield queues
    await queues.aclose()


async def look(reader: RedisQueues, pool: Pool) -> tuple[QueueState, ...]:
    seen = (await reader.read([pool]))[pool.key]
    assert isinstance(seen, Observation), seen
    return seen.queues


async def fail(reader: RedisQueues, pool: Pool) -> QueueUnavailable:
    seen = (await reader.read([pool]))[pool.key]
    assert isinstance(seen, QueueUnavailable), seen
    return seen


def put(server: RedisServer, queue: str, payload: str | bytes, message_id: str = "1") -> None:
    """Put a message as Dramatiq's enqueue does."""
    server.client.hset(f"dramatiq:{queue}.msgs", message_id, payload)
    server.client.rpush(f"dramatiq:{queue}", message_id)


def message(**options: object) -> Message[None]:
    return Message("sms", "send", (), {}, options, message_id="1", message_timestamp=int((NOW - 60) * 1000))


async def test_counts_what_is_ready_in_flight_delayed_and_dead(reader: RedisQueues, redis_server: RedisServer) -> None:
    client = redis_server.client
    client.rpush("dramatiq:sms", "a", "b")
    client.hset("dramatiq:sms.msgs", mapping=dict.fromkeys("abcde", "{}"))
    client.hset("dramatiq:sms.DQ.msgs", mapping=dict.fromkeys("fg", "{}"))
    client.zadd("dramatiq:sms.XQ", {"h": 1.0})

    states = await look(reader, a_pool(redis_server.url, "sms", "email"))

    assert states == (
        QueueState("sms", ready=2, in_flight=3, delayed=2, dead=1),
        QueueState("email", is_known=False),
    )


async def test_never_sees_fewer_than_no_jobs_in_flight(reader: RedisQueues, redis_server: RedisServer) -> None:
    redis_server.client.rpush("dramatiq:sms", "a", "b")

    assert await look(reader, a_pool(redis_server.url, "sms")) == (QueueState("sms", ready=2),)


async def test_a_queue_once_seen_stays_known_when_it_is_empty(reader: RedisQueues, redis_server: RedisServer) -> None:
    pool = a_pool(redis_server.url, "sms")
    assert await look(reader, pool) == (QueueState("sms", is_known=False),)

    put(redis_server, "sms", b"")
    await look(reader, pool)
    redis_server.client.flushall()

    assert await look(reader, pool) == (QueueState("sms", is_known=True),)


@pytest.mark.parametrize(
    ("payload", "age"),
    [
        pytest.param(message().encode(), 60.0, id="from when it was sent"),
        pytest.param(message(ready_at=(NOW - 5) * 1000).encode(), 5.0, id="rather from when it became ready"),
        pytest.param(message(ready_at="soon").encode(), 60.0, id="not from a text"),
        pytest.param(message(ready_at=(NOW + 5) * 1000).encode(), 0.0, id="never negative, whatever the clocks"),
        pytest.param(
            message(pipe_target=message(ready_at=1).asdict()).encode(), 60.0, id="not from the next job in its pipe"
        ),
        pytest.param(
            replace(message(), kwargs={"options": {"ready_at": 1}, "message_timestamp": 2}).encode(),
            60.0,
            id="not from its arguments",
        ),
        pytest.param(
            replace(message(), args=('"options":{"ready_at":1},"message_timestamp":2}',)).encode(),
            60.0,
            id="not from a text among its arguments",
        ),
        pytest.param(replace(message(), args=("x" * 200_000,)).encode(), 60.0, id="of a long one too"),
        pytest.param(replace(message(), args=("x" * 300_000,)).encode(), None, id="not of one too long to fetch"),
        pytest.param(message(traceback='File "x"\n' * 1000).encode(), 60.0, id="of one that failed deep down"),
        pytest.param(
            json.dumps({"message_timestamp": 1, "options": {"ready_at": (NOW - 7) * 1000}}, indent=1),
            7.0,
            id="whatever the order and spacing",
        ),
        pytest.param(json.dumps({"options": {"ready_at": (NOW - 7) * 1000}}), 7.0, id="without a timestamp"),
        pytest.param(json.dumps({"options": None, "message_timestamp": (NOW - 9) * 1000}), 9.0, id="without options"),
        pytest.param("{}", None, id="not told"),
        pytest.param('{"message_timestamp": NaN}', None, id="not a number"),
        pytest.param('{"message_timestamp": 1e300}', None, id="not a time"),
        pytest.param("null", None, id="nothing at all"),
        pytest.param("[" * 5000, None, id="nested beyond reading"),
        pytest.param('{"options":{', None, id="cut off"),
        pytest.param(pickle.dumps(message()), None, id="not JSON"),
    ],
)
async def test_tells_the_age_of_the_oldest_ready_job(
    reader: RedisQueues, redis_server: RedisServer, payload: bytes, age: float | None
) -> None:
    put(redis_server, "sms", payload)

    assert await look(reader, a_pool(redis_server.url, "sms")) == (QueueState("sms", ready=1, oldest_ready_age=age),)


async def test_no_job_ready_has_no_age(reader: RedisQueues, redis_server: RedisServer) -> None:
    redis_server.client.hset("dramatiq:sms.msgs", "1", message().encode())

    assert await look(reader, a_pool(redis_server.url, "sms")) == (QueueState("sms", in_flight=1),)


async def test_a_ready_job_whose_message_is_gone_has_no_age(reader: RedisQueues, redis_server: RedisServer) -> None:
    redis_server.client.rpush("dramatiq:sms", "1")

    assert await look(reader, a_pool(redis_server.url, "sms")) == (QueueState("sms", ready=1),)


async def test_jobs_in_lanes_are_ready_and_the_first_of_them_may_be_the_oldest(
    reader: RedisQueues, redis_server: RedisServer
) -> None:
    put(redis_server, "sms", message().encode())
    redis_server.client.hset("dramatiq:sms.msgs", mapping=dict.fromkeys("abcd", "{}"))
    redis_server.client.zadd("crewcall:dramatiq:waiting:sms", {"a": (NOW - 90) * 1000, "b": (NOW - 30) * 1000})

    states = await look(reader, a_pool(redis_server.url, "sms"))

    assert states == (QueueState("sms", ready=3, in_flight=2, oldest_ready_age=90.0),)


async def test_jobs_in_lanes_alone_have_an_age(reader: RedisQueues, redis_server: RedisServer) -> None:
    redis_server.client.hset("dramatiq:sms.msgs", "a", "{}")
    redis_server.client.zadd("crewcall:dramatiq:waiting:sms", {"a": (NOW - 90) * 1000})

    assert await look(reader, a_pool(redis_server.url, "sms")) == (QueueState("sms", ready=1, oldest_ready_age=90.0),)


async def test_tells_which_queues_are_paused_and_what_waits_for_a_limit(
    reader: RedisQueues, redis_server: RedisServer
) -> None:
    redis_server.client.hset("crewcall:dramatiq:paused", "sms", "{}")
    redis_server.client.hset("dramatiq:email.msgs", mapping=dict.fromkeys("abc", "{}"))
    redis_server.client.zadd("crewcall:dramatiq:waiting:email", dict.fromkeys("abc", NOW * 1000))
    redis_server.client.hset("crewcall:dramatiq:surplus:email", "", 2)
    there = a_pool(redis_server.url, "sms", "email")
    elsewhere = a_pool(redis_server.url, "sms", name="elsewhere", namespace="staging")

    sms, email = await look(reader, there)

    assert sms == QueueState("sms", is_known=False, is_paused=True)
    assert email == QueueState("email", ready=3, limited=2, oldest_ready_age=0.0)
    assert await look(reader, elsewhere) == (QueueState("sms", is_known=False),)


async def test_a_key_of_another_kind_among_crewcalls_own_leaves_dramatiqs_figures(
    reader: RedisQueues, redis_server: RedisServer
) -> None:
    put(redis_server, "sms", message().encode())
    redis_server.client.set("crewcall:dramatiq:waiting:sms", "a text")
    pool = a_pool(redis_server.url, "sms")

    seen = (await reader.read([pool]))[pool.key]

    assert isinstance(seen, Observation)
    assert seen.queues == (QueueState("sms", ready=1, oldest_ready_age=60.0),)
    assert [words.partition(":")[0] for words in seen.unread] == ["lanes and pauses are not known"]


async def test_pools_sharing_queues_cost_one_question_for_each_queue(
    reader: RedisQueues, redis_server: RedisServer
) -> None:
    put(redis_server, "sms", message().encode())
    one = a_pool(redis_server.url, "sms", "email", name="one")
    two = a_pool(redis_server.url, "email", "sms", name="two")

    seen = await reader.read([one, two])

    sms, email = QueueState("sms", ready=1, oldest_ready_age=60.0), QueueState("email", is_known=False)
    assert seen == {one.key: Observation((sms, email)), two.key: Observation((email, sms))}
    assert calls(redis_server)["llen"] == 2


async def test_the_namespace_keeps_queues_of_one_name_apart(reader: RedisQueues, redis_server: RedisServer) -> None:
    put(redis_server, "sms", message().encode())
    theirs = a_pool(redis_server.url, "sms", name="theirs")
    others = a_pool(redis_server.url, "sms", name="others", namespace="staging")

    seen = await reader.read([theirs, others])

    assert seen == {
        theirs.key: Observation((QueueState("sms", ready=1, oldest_ready_age=60.0),)),
        others.key: Observation((QueueState("sms", is_known=False),)),
    }


async def test_many_queues_are_read_in_scripts_of_a_hundred_on_one_connection(
    reader: RedisQueues, redis_server: RedisServer
) -> None:
    put(redis_server, "q249", message().encode())
    pools = [a_pool(redis_server.url, *(f"q{10 * i + j}" for j in range(10)), name=f"p{i}") for i in range(25)]
    before = redis_server.client.info("stats")["total_connections_received"]

    for _ in range(3):
        seen = await reader.read(pools)

    last = seen[pools[24].key]
    assert isinstance(last, Observation)
    assert last.queues[9] == QueueState("q249", ready=1, oldest_ready_age=60.0)
    assert len(seen) == 25
    assert calls(redis_server)[script_command(redis_server)] == 3 * (1 + 3 + 1)
    assert redis_server.client.info("stats")["total_connections_received"] == before + 1


async def test_reading_changes_nothing_and_registers_nobody(reader: RedisQueues, redis_server: RedisServer) -> None:
    broker = RedisBroker(url=redis_server.url)
    for delay in (None, 60_000):
        broker.enqueue(message(), delay=delay)
    redis_server.client.zadd("dramatiq:sms.XQ", {"h": 1.0})
    broker.close()
    client = redis_server.client
    before = {key: client.dump(key) for key in client.scan_iter()}
    assert "dramatiq:__heartbeats__" in before

    await look(reader, a_pool(redis_server.url, "sms", "email"))

    assert {key: client.dump(key) for key in client.scan_iter()} == before


def script_command(server: RedisServer) -> str:
    """By which command scripts are run that may only read: Redis has one of its own from 7.0 on."""
    version = str(server.client.info("server")["redis_version"])
    return "eval_ro" if int(version.split(".")[0]) >= 7 else "eval"


def calls(server: RedisServer) -> dict[str, int]:
    """How often each command ran on the server since the test began, scripts' own calls included."""
    stats = server.client.info("commandstats")
    return {name.removeprefix("cmdstat_"): told["calls"] for name, told in stats.items()}


async def test_a_user_who_may_only_read_these_keys_is_enough(reader: RedisQueues, redis_server: RedisServer) -> None:
    put(redis_server, "sms", message().encode())
    grant(redis_server, "+script +llen +lindex +hlen +hstrlen +hget +zcard ~dramatiq:*")

    states = await look(reader, a_pool(as_user(redis_server), "sms"))

    assert states == (QueueState("sms", ready=1, oldest_ready_age=60.0),)


@pytest.mark.parametrize(
    "rights", ["~dramatiq:*", "+script ~dramatiq:*", "+script +llen +lindex +hlen +hstrlen +hget +zcard ~other:*"]
)
async def test_a_user_who_may_not_read_is_told_what_to_grant(
    reader: RedisQueues, redis_server: RedisServer, rights: str
) -> None:
    grant(redis_server, rights)

    failure = await fail(reader, a_pool(as_user(redis_server), "sms"))

    assert "Grant it: +eval_ro" in failure.why
    assert "secret" not in str(failure)


async def test_a_namespace_out_of_bounds_stops_no_other(reader: RedisQueues, redis_server: RedisServer) -> None:
    grant(redis_server, "+script +llen +lindex +hlen +hstrlen +hget +zcard ~dramatiq:*")
    allowed = a_pool(as_user(redis_server), "sms", name="allowed")
    refused = a_pool(as_user(redis_server), "sms", name="refused", namespace="other")

    seen = await reader.read([refused, allowed])

    looked = seen[allowed.key]
    assert isinstance(looked, Observation)
    assert looked.queues == (QueueState("sms", is_known=False),)
    told = ["workers are not known", "lanes and pauses are not known"]
    assert [words.partition(":")[0] for words in looked.unread] == told
    assert isinstance(seen[refused.key], QueueUnavailable)


def grant(server: RedisServer, rights: str) -> None:
    allowed = rights.replace("+script", f"+{script_command(server)}").split()
    server.client.acl_setuser(
        "reader",
        enabled=True,
        reset=True,
        passwords=["+secret"],
        commands=[right for right in allowed if right.startswith("+")],
        keys=[right.removeprefix("~") for right in allowed if right.startswith("~")],
    )


def as_user(server: RedisServer) -> str:
    return server.url.replace("//", "//reader:secret@")


async def test_a_key_of_another_kind_fails_only_the_pools_on_that_queue(
    reader: RedisQueues, redis_server: RedisServer
) -> None:
    put(redis_server, "sms", message().encode())
    redis_server.client.set("dramatiq:broken.XQ", "a text")
    sound = a_pool(redis_server.url, "sms", name="sound")
    broken = a_pool(redis_server.url, "sms", "broken", name="broken")

    seen = await reader.read([broken, sound])

    assert seen[sound.key] == Observation((QueueState("sms", ready=1, oldest_ready_age=60.0),))
    assert str(seen[broken.key]) == (
        f"Redis {endpoint(redis_server)} cannot be read: "
        '"dramatiq:broken" is not as Dramatiq keeps a queue. '
        "Is the Redis namespace right, and nobody else writing there?"
    )


def endpoint(server: RedisServer) -> str:
    return server.url.removeprefix("redis://")


async def test_a_wrong_password_is_named_and_not_repeated(reader: RedisQueues, redis_server: RedisServer) -> None:
    failure = await fail(reader, a_pool(redis_server.url.replace("//", "//reader:wr0ng@"), "sms"))

    assert failure.endpoint == endpoint(redis_server)
    assert "refuses the user or the password" in failure.why
    assert "wr0ng" not in str(failure)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1/0", id="scheme"),
        pytest.param("redis://user:s3/cret@127.0.0.1/0", id="password not encoded"),
        pytest.param("redis://127.0.0.1/0?s3cret=1", id="option"),
        pytest.param("s3cret", id="no URL"),
    ],
)
async def test_a_url_that_makes_no_sense_is_answered_with_what_does(reader: RedisQueues, url: str) -> None:
    failure = await fail(reader, a_pool(url, "sms"))

    assert str(failure) == (
        "Redis (unreadable URL) cannot be read: write redis://[user:password@]host[:port][/db], the same with "
        "rediss:// for TLS, or unix:///path; percent-encode '/', '?', '#' and '@' in a password; a port is 1 to 65535."
    )
    assert failure.__cause__ is None


async def test_nobody_listening_is_said_for_every_pool(reader: RedisQueues) -> None:
    with EmbeddedRedis() as server:
        url = server.url
    one, two = a_pool(url, "sms", name="one"), a_pool(url, "email", name="two")

    seen = await reader.read([one, two])

    assert seen.keys() == {one.key, two.key}
    for failure in seen.values():
        assert isinstance(failure, QueueUnavailable)
        assert failure.endpoint == url.removeprefix("redis://")
        assert failure.why.startswith("no connection (")


async def test_a_server_that_knows_no_read_only_scripts_is_read_all_the_same(
    reader: RedisQueues, redis_server: RedisServer
) -> None:
    if script_command(redis_server) == "eval":
        pytest.skip("the server of all these tests is such a one")
    with EmbeddedRedis(options=("--rename-command", "EVAL_RO", "")) as server, emptied(server) as redis_6:
        put(redis_6, "sms", message().encode())

        for _ in range(2):
            states = await look(reader, a_pool(server.url, "sms"))
            assert states == (QueueState("sms", ready=1, oldest_ready_age=60.0),)


async def test_a_redis_that_no_pool_names_any_more_is_let_go(
    reader: RedisQueues, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_links, "IDLE_LINK_KEPT", 0.0)
    before = len(redis_server.client.client_list())

    for database in (1, 2, 3):
        await look(reader, a_pool(redis_server.url.removesuffix("/0") + f"/{database}", "sms"))

    wait_until(lambda: len(redis_server.client.client_list()) == before + 1, "all links but the last to be closed")


async def test_no_pools_need_no_redis(reader: RedisQueues) -> None:
    assert await reader.read([]) == {}


async def test_keeps_nothing_of_pools_that_are_gone(reader: RedisQueues, redis_server: RedisServer) -> None:
    """Which queues were ever seen is the one thing that it remembers; another pool's sight of one counts on."""
    gone, stays = (a_pool(redis_server.url, "sms", "email", name=name) for name in ("gone", "stays"))
    put(redis_server, "sms", message().encode())
    await reader.read([gone, stays])
    redis_server.client.flushall()

    reader.forget(gone)
    seen = await reader.read([gone, stays])

    known = {
        key.name: [it.is_known for it in look.queues] for key, look in seen.items() if isinstance(look, Observation)
    }
    assert known == {"gone": [False, False], "stays": [True, False]}
