"""What the reader says while Redis is away or out of sorts, and how soon it is back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.redis import a_pool, emptied
from tests.support.waiting import DEADLINE

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_operator.adapters.redis_queues import RedisQueues
from crewcall_operator.api.pool import Pool
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.errors import QueueUnavailable

ONE_READY = Observation((QueueState("sms", ready=1),))
ONE_IN_FLIGHT = Observation((QueueState("sms", in_flight=1),))


async def heard(reader: RedisQueues, pool: Pool) -> Observation:
    """The first look that Redis answers in time."""
    async with asyncio.timeout(DEADLINE):
        while not isinstance(seen := (await reader.read([pool]))[pool.key], Observation):
            pass
    return seen


async def test_reads_again_at_once_when_redis_is_back() -> None:
    reader = RedisQueues(wall_clock=time.time, timeout=DEADLINE)
    with EmbeddedRedis(keeps_data=True) as server, emptied(server) as seen:
        pool = a_pool(server.url, "sms")
        seen.client.rpush("dramatiq:sms", "1")
        assert await reader.read([pool]) == {pool.key: ONE_READY}

        server.stop()
        away = [(await reader.read([pool]))[pool.key] for _ in range(3)]
        server.start()
        back = await reader.read([pool])
        await reader.aclose()

    assert [type(answer) for answer in away] == [QueueUnavailable] * 3
    assert back == {pool.key: ONE_READY}


async def test_a_restart_between_two_reads_goes_unnoticed() -> None:
    reader = RedisQueues(wall_clock=time.time, timeout=DEADLINE)
    with EmbeddedRedis(keeps_data=True) as server, emptied(server) as seen:
        pool = a_pool(server.url, "sms")
        seen.client.rpush("dramatiq:sms", "1")
        before = await reader.read([pool])
        server.stop()
        server.start()

        assert await reader.read([pool]) == before == {pool.key: ONE_READY}
        await reader.aclose()


async def test_a_hanging_redis_is_given_up_in_time_and_its_late_answers_are_not_taken_for_new_ones() -> None:
    reader = RedisQueues(wall_clock=time.time, timeout=0.2)
    with EmbeddedRedis() as server, emptied(server) as seen:
        pool = a_pool(server.url, "sms")
        seen.client.rpush("dramatiq:sms", "1")
        assert await heard(reader, pool) == ONE_READY

        os.kill(server.pid, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            async with asyncio.timeout(DEADLINE):  # for as long as the server stands still, which is until here
                silent = (await reader.read([pool]))[pool.key]
            took = time.monotonic() - begun
        finally:
            os.kill(server.pid, signal.SIGCONT)
        seen.client.lpop("dramatiq:sms")
        seen.client.hset("dramatiq:sms.msgs", "1", "{}")
        back = await heard(reader, pool)
        await reader.aclose()

    endpoint = server.url.removeprefix("redis://")
    assert str(silent) == (
        f"Redis {endpoint} cannot be read: no answer within 0.2 s. Is it up, and may this host reach it?"
    )
    assert took >= 0.2
    assert back == ONE_IN_FLIGHT


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("LOADING Redis is loading the dataset in memory", "it is still loading its data. Reading resumes by itself."),
        (
            "MOVED 7000 10.0.0.7:6379",
            "it is a Redis Cluster (7000 10.0.0.7:6379), on which Dramatiq does not work. Name a Redis that is not.",
        ),
        (
            "NOAUTH Authentication required.",
            "it refuses the user or the password (Authentication required). Correct them in the pool's Redis URL.",
        ),
        ("BUSY Redis is busy running a script.", "it answered: BUSY Redis is busy running a script."),
        (
            "ERR max number of clients reached",
            "no connection (max number of clients reached). Is it up, and are host, port and TLS right?",
        ),
    ],
)
async def test_what_redis_complains_of_is_put_in_words(answer: str, why: str) -> None:
    async with complaining(answer) as url:
        reader = RedisQueues(wall_clock=time.time, timeout=DEADLINE)
        pool = a_pool(url, "sms")
        failure = (await reader.read([pool]))[pool.key]
        await reader.aclose()

    assert str(failure) == f"Redis {url.removeprefix('redis://')} cannot be read: {why}"


@asynccontextmanager
async def complaining(answer: str) -> AsyncIterator[str]:
    """A server that has this one answer to whatever it is asked."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            for _ in range(int(head[1:])):
                size = int((await reader.readline())[1:])
                await reader.readexactly(size + 2)
            writer.write(f"-{answer}\r\n".encode())
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
