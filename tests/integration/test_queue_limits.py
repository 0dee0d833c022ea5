"""A worker whose queues have limits: no more jobs of one at once, and the threads left to the others."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path

from dramatiq import Message
from tests.support.limited_queues import LIMIT, QUICK, SLOW, begun, done, gate
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until
from tests.support.workers import WorkerProcess, started

from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.wire import read_worker

CREWCALL_WORKER = str(Path(sys.executable).parent / "crewcall-worker")
KEYS = wire.Keys()


def worker(server: RedisServer, tmp_path: Path, **variables: str) -> AbstractContextManager[WorkerProcess]:
    environment = {wire.ENV_REDIS_URL: server.url, **variables}
    return started([CREWCALL_WORKER, "run", "tests.support.limited_jobs"], environment, tmp_path / "worker.log")


def send(server: RedisServer, queue: str, count: int) -> None:
    broker = CrewcallBroker(url=server.url)
    for _ in range(count):
        broker.enqueue(Message(queue, queue, (), {}, {}))
    broker.close()


def threads_told(server: RedisServer) -> int | None:
    ((worker, record),) = server.client.hgetall(KEYS.workers("")).items()
    return read_worker(str(worker), record).threads


def test_no_more_of_a_queue_run_at_once_and_what_waits_stays_in_redis_for_others(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    send(redis_server, SLOW, 6)
    with worker(redis_server, tmp_path, CREWCALL_THREADS="6") as running:
        wait_until(lambda: redis_server.client.llen(begun(SLOW)) == LIMIT, "the first slow jobs to begin")
        send(redis_server, QUICK, 4)
        wait_until(lambda: redis_server.client.llen(begun(QUICK)) == 4, "the quick ones to have the other threads")

        assert redis_server.client.llen(KEYS.ready(SLOW)) == 6 - LIMIT
        assert running.says("Working on quick, slow (2 at once) of Redis")

        redis_server.client.rpush(gate(SLOW), *range(6))
        wait_until(lambda: redis_server.client.get(done(SLOW)) == "6", "all slow jobs to be done")

    assert max(int(count) for count in redis_server.client.lrange(begun(SLOW), 0, -1)) == LIMIT


def test_the_environment_goes_before_the_job_types_and_the_pool_hears_what_can_run(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    send(redis_server, SLOW, 6)
    with worker(redis_server, tmp_path, CREWCALL_CONCURRENCY="slow=1,quick=3,emial=2") as running:
        running.wait_for("Working on quick (3 at once), slow (1 at once) of Redis")
        wait_until(lambda: redis_server.client.llen(begun(SLOW)) == 1, "a slow job to begin")

        assert threads_told(redis_server) == 4
        assert running.says("CREWCALL_CONCURRENCY names emial, which no actor here works on")

        redis_server.client.rpush(gate(SLOW), *range(6))
        wait_until(lambda: redis_server.client.get(done(SLOW)) == "6", "all slow jobs to be done")

    assert redis_server.client.lrange(begun(SLOW), 0, -1) == ["1"] * 6


def test_a_limit_that_is_none_ends_with_status_2_and_one_line(tmp_path: Path) -> None:
    variables = {wire.ENV_REDIS_URL: "redis://127.0.0.1:1/0", wire.ENV_CONCURRENCY: "sms=many"}
    with started([CREWCALL_WORKER, "run", "tests.support.limited_jobs"], variables, tmp_path / "log") as running:
        assert running.exit_status() == 2

    assert running.log.read_text() == (
        "crewcall-worker: CREWCALL_CONCURRENCY is 'sms=many'; write each queue once with a whole number from 1 to "
        "1000, such as sms=5,email=2\n"
    )
