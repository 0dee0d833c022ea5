"""What the reader sees agrees with what the test put there, at each stage of real Dramatiq workers' lives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from tests.support import jobs
from tests.support.redis import RedisServer, a_pool
from tests.support.waiting import DEADLINE, wait_until
from tests.support.workers import PROGRAMS, worker

from crewcall_operator.adapters.redis_queues import RedisQueues
from crewcall_operator.core.observation import Observation, QueueState

SENT = 1_800_000_000.0  # when the first job was sent
A_DAY_MS = 86_400_000

under_each_program = pytest.mark.parametrize("program", PROGRAMS)


@pytest.fixture
async def reader() -> AsyncIterator[RedisQueues]:
    queues = RedisQueues(wall_clock=lambda: SENT + 4.125, timeout=DEADLINE)
    yield queues
    await queues.aclose()


async def look(reader: RedisQueues, server: RedisServer) -> QueueState:
    pool = a_pool(server.url, jobs.QUEUE)
    seen = (await reader.read([pool]))[pool.key]
    assert isinstance(seen, Observation), seen
    state = seen.queues[0]
    # That day has begun when the jobs were sent: how much of it is left is nothing to compare.
    assert (state.next_due_in is None) == (state.delayed == 0)
    assert state.next_due_in is None or 0.99 * A_DAY_MS < state.next_due_in * 1000 <= A_DAY_MS
    return replace(state, next_due_in=None)


def send(server: RedisServer, *, held: int = 0, delayed: int = 0, failing: int = 0) -> None:
    """Send so many jobs; the n-th of the held ones was sent n seconds after the first."""
    broker = RedisBroker(url=server.url)
    sent_ms = int(SENT * 1000)
    for job in range(held):
        broker.enqueue(Message(jobs.QUEUE, "hold", (job,), {}, {}, message_timestamp=sent_ms + 1000 * job))
    for job in range(delayed):
        broker.enqueue(Message(jobs.QUEUE, "hold", (held + job,), {}, {}), delay=A_DAY_MS)
    for _ in range(failing):
        broker.enqueue(Message(jobs.QUEUE, "fail", (), {}, {}))
    broker.close()


def begun(server: RedisServer) -> int:
    return int(server.client.llen(jobs.BEGUN))


async def test_with_no_worker_all_is_ready_or_delayed(reader: RedisQueues, redis_server: RedisServer) -> None:
    send(redis_server, held=3, delayed=2)

    assert await look(reader, redis_server) == QueueState("sms", ready=3, delayed=2, oldest_ready_age=4.125)


@under_each_program
async def test_jobs_that_a_worker_has_prefetched_still_count(
    program: str, reader: RedisQueues, redis_server: RedisServer, tmp_path: Path
) -> None:
    send(redis_server, held=3, delayed=2)
    with worker(program, redis_server, tmp_path, threads=2):
        wait_until(lambda: begun(redis_server) == 2, "two jobs to begin")
        wait_until(lambda: redis_server.client.llen("dramatiq:sms.DQ") == 0, "the delayed jobs to be fetched")

        assert redis_server.client.llen("dramatiq:sms") == 0
        assert await look(reader, redis_server) == QueueState("sms", in_flight=3, delayed=2)


@under_each_program
async def test_what_a_busy_worker_has_no_room_for_is_ready_and_ages(
    program: str, reader: RedisQueues, redis_server: RedisServer, tmp_path: Path
) -> None:
    send(redis_server, held=4)
    with worker(program, redis_server, tmp_path, threads=1):  # runs one and prefetches another
        wait_until(lambda: begun(redis_server) == 1, "a job to begin")
        wait_until(lambda: redis_server.client.llen("dramatiq:sms") == 2, "another to be prefetched")

        expected = QueueState("sms", ready=2, in_flight=2, oldest_ready_age=2.125)
        assert await look(reader, redis_server) == expected


@under_each_program
async def test_after_sigterm_what_was_begun_is_done_and_the_rest_is_ready_again(
    program: str, reader: RedisQueues, redis_server: RedisServer, tmp_path: Path
) -> None:
    send(redis_server, held=3, delayed=2)
    with worker(program, redis_server, tmp_path, threads=2) as running:
        wait_until(lambda: begun(redis_server) == 2, "two jobs to begin")
        wait_until(lambda: redis_server.client.llen("dramatiq:sms.DQ") == 0, "the delayed jobs to be fetched")
        running.terminate()
        if program == "crewcall-worker":
            wait_until(lambda: redis_server.client.llen("dramatiq:sms") == 1, "the prefetched job to come back")
            assert await look(reader, redis_server) == QueueState(
                "sms", ready=1, in_flight=2, delayed=2, oldest_ready_age=2.125
            )
        else:
            running.wait_for("Shutting down...")
            assert await look(reader, redis_server) == QueueState("sms", in_flight=3, delayed=2)

        jobs.let_go(redis_server.client, 2)
        assert running.exit_status() == 0

    expected = QueueState("sms", ready=1, delayed=2, oldest_ready_age=2.125)
    assert await look(reader, redis_server) == expected
    assert sorted(redis_server.client.lrange(jobs.DONE, 0, -1)) == ["0", "1"]


@under_each_program
async def test_after_sigkill_the_jobs_of_the_dead_worker_still_count(
    program: str, reader: RedisQueues, redis_server: RedisServer, tmp_path: Path
) -> None:
    send(redis_server, held=3, delayed=2)
    with worker(program, redis_server, tmp_path, threads=2) as running:
        wait_until(lambda: begun(redis_server) == 2, "two jobs to begin")
        wait_until(lambda: redis_server.client.llen("dramatiq:sms.DQ") == 0, "the delayed jobs to be fetched")
        running.kill()

    assert await look(reader, redis_server) == QueueState("sms", in_flight=3, delayed=2)


@under_each_program
async def test_jobs_that_failed_for_good_are_dead_and_done_ones_leave_nothing(
    program: str, reader: RedisQueues, redis_server: RedisServer, tmp_path: Path
) -> None:
    send(redis_server, held=1, failing=2)
    jobs.let_go(redis_server.client, 1)
    with worker(program, redis_server, tmp_path, threads=2):
        wait_until(lambda: redis_server.client.hlen("dramatiq:sms.msgs") == 0, "all jobs to end")

        assert await look(reader, redis_server) == QueueState("sms", dead=2)
