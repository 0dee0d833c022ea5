"""What a Redis can do to the operator that answers as none does: whoever writes a WorkerPool may name any server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from redis._parsers import Encoder
from tests.support.hostile_redis import PIECE, hostile_redis
from tests.support.redis import RedisServer, a_pool
from tests.support.waiting import DEADLINE, until
from tests.unit.test_status import report

from crewcall_operator.adapters import redis_answers, redis_hints, redis_link
from crewcall_operator.adapters.redis_answers import IN_A_TURN, TOO_MUCH, Answers, TooMuch
from crewcall_operator.adapters.redis_connection import Connection
from crewcall_operator.adapters.redis_hints import RedisHints
from crewcall_operator.adapters.redis_history import RedisHistory
from crewcall_operator.adapters.redis_orders import RedisOrders
from crewcall_operator.adapters.redis_queues import RedisQueues
from crewcall_operator.adapters.redis_stirring import RedisStirring
from crewcall_operator.api.pool import Pool
from crewcall_operator.errors import QueueUnavailable
from crewcall_worker import wire
from crewcall_worker.redis_address import Sentinels
from crewcall_worker.wire import WorkerState

#: No script of ours answers so, and some of it is no answer at all.
NONSENSE: Mapping[str, bytes] = {
    "a number": b":1\r\n",
    "no number": b":one\r\n",
    "a number beyond all measure": b":" + b"9" * 4000 + b"\r\n",
    "a number beyond all digits": b":" + b"9" * 5000 + b"\r\n",
    "a word": b"+hi\r\n",
    "nothing": b"$-1\r\n",
    "an empty list": b"*0\r\n",
    "a list of nothing": b"*2\r\n$-1\r\n$-1\r\n",
    "lists in lists": b"*1\r\n" * 100_000,
    "a length that is none": b"$x\r\n",
    "less than nothing": b"$-5\r\n",
    "a line without an end": b"-" + b"x" * 1_000_000,
    "no text": b"$2\r\n\xff\xfe\r\n",
    "a banner": b"SSH-2.0-OpenSSH_9.6\r\n",
    "another protocol": b"HTTP/1.1 400 Bad Request\r\nServer: internal\r\n\r\n",
}


async def read(pool: Pool) -> None:
    reader = RedisQueues(time.time, timeout=DEADLINE)
    answer = (await reader.read([pool]))[pool.key]
    await reader.aclose()
    if isinstance(answer, QueueUnavailable):
        raise answer


async def look_who_stirs(pool: Pool) -> None:
    stirring = RedisStirring(DEADLINE)
    assert set(await stirring.stirring([pool])) <= {pool.key}
    await stirring.aclose()


async def give_an_order(pool: Pool) -> None:
    await _with_orders(lambda orders: orders.give(pool, ["a-pod"], []))


async def recover(pool: Pool) -> None:
    await _with_orders(lambda orders: orders.recover(pool, ["a-worker"]))


async def recover_lapsed(pool: Pool) -> None:
    await _with_orders(lambda orders: orders.recover_lapsed(pool))


async def _with_orders(ask: Callable[[RedisOrders], Awaitable[object]]) -> None:
    orders = RedisOrders(DEADLINE)
    try:
        await ask(orders)
    finally:
        await orders.aclose()


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
@pytest.mark.parametrize("ask", [read, look_who_stirs, give_an_order, recover, recover_lapsed])
async def test_nonsense_is_a_redis_that_is_not_available(ask: Callable[[Pool], Awaitable[None]], answer: bytes) -> None:
    async with hostile_redis(answer) as server:
        try:
            await ask(a_pool(server.url, "sms"))
        except QueueUnavailable as unavailable:
            said = str(unavailable)
        else:
            said = ""  # an answer that nobody reads may be any

    assert len(said) < 1000


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
async def test_the_backlog_is_never_read_out_of_nonsense(answer: bytes) -> None:
    async with hostile_redis(answer) as server:
        with pytest.raises(QueueUnavailable):
            await read(a_pool(server.url, "sms"))


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
async def test_telling_the_board_of_pools_goes_on_whatever_is_answered(answer: bytes) -> None:
    async with hostile_redis(answer) as server:
        history = RedisHistory(clock=time.monotonic, timeout=DEADLINE)
        history.report(report(pool=a_pool(server.url, "sms")))
        await history.flush()
        await history.aclose()

        assert server.asked


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
async def test_hints_are_listened_for_again_whatever_is_heard(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_hints, "RECONNECT", 0.05)
    async with hostile_redis(answer) as server:
        pools = [a_pool(server.url, "sms")]
        listening = asyncio.create_task(RedisHints(lambda: pools, lambda _place, _keys: None).run())
        await until(lambda: server.asked >= 2 or listening.done(), "another try")
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

        assert server.asked >= 2


@pytest.mark.parametrize("words", ["SSH-2.0-OpenSSH_9.6", "HTTP/1.1 400 Bad Request", "220 mail.internal ESMTP"])
async def test_what_another_service_says_is_told_to_nobody(words: str) -> None:
    async with hostile_redis(words.encode() + b"\r\n") as server:
        with pytest.raises(QueueUnavailable) as told:
            await read(a_pool(server.url, "sms"))

    assert told.value.why == "it does not answer as a Redis does. Is that the port of one, and of no other service?"


async def test_what_a_terminal_would_obey_is_not_repeated() -> None:
    async with hostile_redis("-ERR \x1b[2J\x1b]0;mine\x07 \u202e done\r\n".encode()) as server:
        with pytest.raises(QueueUnavailable) as told:
            await read(a_pool(server.url, "sms"))

    assert told.value.why == "it answered: ?[2J?]0;mine? ? done"


async def test_of_a_long_complaint_the_beginning_is_repeated() -> None:
    async with hostile_redis(b"-ERR " + b"x" * 60_000 + b"\r\n") as server:
        with pytest.raises(QueueUnavailable) as told:
            await read(a_pool(server.url, "sms"))

    assert told.value.why == "it answered: " + "x" * 199 + "…"


ENDLESS = {
    "one text": (b"$99999999999\r\n", b"x" * PIECE),
    "a list": (b"*99999999999\r\n", b":1\r\n" * (PIECE // 4)),
    "lists": (b"*99999999999\r\n", b"*0\r\n" * (PIECE // 4)),
    "texts": (b"*99999999999\r\n", b"$4\r\nspam\r\n" * (PIECE // 10)),
}


class Connected:
    """A connection on which all of an answer is there already."""

    encoder = Encoder("utf-8", "replace", decode_responses=True)

    def __init__(self, answer: bytes) -> None:
        self._reader = asyncio.StreamReader()
        self._reader.feed_data(answer)


@pytest.fixture
def _little(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it takes no minute to come to the end of what is read."""
    monkeypatch.setattr(redis_answers, "MOST_BYTES", 2**20)


@pytest.mark.usefixtures("_little")
@pytest.mark.parametrize(("answer", "endless"), ENDLESS.values(), ids=ENDLESS)
async def test_an_answer_without_an_end_is_given_up_after_so_much(answer: bytes, endless: bytes) -> None:
    async with hostile_redis(answer, endless, most=2**26) as server:
        with pytest.raises(QueueUnavailable) as told:
            await read(a_pool(server.url, "sms"))

    assert told.value.why == TOO_MUCH
    assert server.sent < 2**24  # most of it is on its way still


@pytest.mark.usefixtures("_little")
async def test_who_answers_with_too_much_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hostile_redis(*ENDLESS["lists"], most=2**26) as server:
        reader, pool = RedisQueues(time.time, timeout=DEADLINE), a_pool(server.url, "sms")
        told = [str((await reader.read([pool]))[pool.key]) for _ in range(5)]
        asked = server.asked
        await reader.aclose()

        monkeypatch.setattr(redis_link, "LEFT_ALONE", 0.0)
        reader = RedisQueues(time.time, timeout=DEADLINE)
        told += [str((await reader.read([pool]))[pool.key]) for _ in range(2)]
        await reader.aclose()

    assert len(set(told)) == 1
    assert TOO_MUCH in told[0]
    assert (asked, server.asked) == (1, 3)


@pytest.mark.usefixtures("_little")
async def test_others_have_their_turn_while_a_long_answer_is_read() -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    parser: Any = Answers(65_536)
    parser.on_connect(Connected(b"*3000\r\n" + b":1\r\n" * 3000))
    others = asyncio.create_task(take_turns())
    answer = await parser.read_response()
    others.cancel()

    assert answer == [1] * 3000
    assert turns >= 3000 // IN_A_TURN - 1


@pytest.mark.usefixtures("_little")
async def test_a_sentinels_answer_without_an_end_is_given_up_as_well() -> None:
    async with hostile_redis(*ENDLESS["one text"], most=2**26) as server:
        host, _, port = server.url.removeprefix("redis://").removesuffix("/0").partition(":")
        pool = Connection(Sentinels(((host, int(port)),), "main").url).pool()
        with pytest.raises(TooMuch):
            await pool.get_connection()
        await pool.aclose()

    assert server.sent < 2**24


async def test_as_many_workers_as_a_pool_may_have_replicas_are_not_too_many(redis_server: RedisServer) -> None:
    record = wire.write_worker(
        wire.WorkerRecord(
            "w", WorkerState.RUNNING, "notifications-7d9f8b6c5d-abcde", 1, 8, 8, 8, 1, ("q" * 20,) * 10, 1, "host 1 2"
        )
    )
    redis_server.client.hset("crewcall:dramatiq:workers:shop/pool", mapping={str(at): record for at in range(10_000)})
    reader = RedisQueues(time.time, timeout=DEADLINE)
    (observed,) = (await reader.read([a_pool(redis_server.url, "sms")])).values()
    await reader.aclose()

    assert not isinstance(observed, QueueUnavailable)
    assert len(observed.workers) == 10_000


async def test_what_a_worker_says_of_itself_is_not_repeated_as_it_is(redis_server: RedisServer) -> None:
    name = "w\x1b[2J" + "x" * 100_000
    redis_server.client.hset("crewcall:dramatiq:workers:shop/pool", name, "no json")
    reader = RedisQueues(time.time)
    pool = a_pool(redis_server.url, "sms")
    (observed,) = (await reader.read([pool])).values()
    await reader.aclose()

    assert not isinstance(observed, QueueUnavailable)
    (said,) = observed.unread
    assert said.startswith("worker w?[2Jxxx")
    assert len(said) == 200


async def test_nor_is_what_an_author_calls_his_namespace(redis_server: RedisServer) -> None:
    redis_server.client.set("\x1b[2J:sms", "no list")

    with pytest.raises(QueueUnavailable, match=r'"\?\[2J:sms" is not as Dramatiq keeps a queue'):
        await read(a_pool(redis_server.url, "sms", namespace="\x1b[2J"))
