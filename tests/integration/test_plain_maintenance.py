"""Dramatiq's own maintenance beside workers with the runtime: it takes none of them for dead that lives.

A worker that is held still stands for one that could not be heard, as during an outage of Redis.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from tests.support import jobs
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until
from tests.support.workers import WorkerProcess, started, worker

from crewcall_worker import wire

KEYS = wire.Keys()
CREWCALL_WORKER = str(Path(sys.executable).parent / "crewcall-worker")
CERTAIN = 1_000_000
LOOKED = "test:looked"
AN_HOUR_MS = 3_600_000


def now_ms(server: RedisServer) -> int:
    seconds, microseconds = server.client.time()
    return int(seconds * 1000 + microseconds // 1000)


def send(server: RedisServer, actor: str, *arguments: int, **options: int) -> None:
    broker = RedisBroker(url=server.url, **options)
    broker.enqueue(Message(jobs.QUEUE, actor, arguments, {}, {}))
    broker.close()


def only_id(server: RedisServer) -> str:
    (worker_id,) = server.client.hkeys(KEYS.workers(""))
    return str(worker_id)


@contextmanager
def holding_still(running: WorkerProcess) -> Iterator[None]:
    os.kill(running.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(running.process.pid, signal.SIGCONT)


def held(server: RedisServer, worker_id: str) -> int:
    return int(server.client.scard(KEYS.acks(worker_id, jobs.QUEUE)))


def test_a_plain_producer_does_not_give_a_living_workers_running_job_to_others(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """Dramatiq's own measure of a death is a minute of silence; here it is none at all."""
    send(redis_server, "hold", 0)
    with worker("crewcall-worker", redis_server, tmp_path) as running:
        wait_until(lambda: redis_server.client.llen(jobs.BEGUN) == 1, "the job to begin")
        worker_id = only_id(redis_server)
        with holding_still(running):
            send(redis_server, "hold", 1, maintenance_chance=CERTAIN, heartbeat_timeout=-1)

            assert held(redis_server, worker_id) == 1
            assert redis_server.client.llen(KEYS.ready(jobs.QUEUE)) == 1


def test_a_worker_with_a_plain_broker_of_its_own_does_not_give_a_colleagues_running_job_to_others(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    send(redis_server, "hold", 0)
    with worker("crewcall-worker", redis_server, tmp_path, threads=1) as silent:
        wait_until(lambda: redis_server.client.llen(jobs.BEGUN) == 1, "the job to begin")
        silent_id = only_id(redis_server)
        with holding_still(silent):
            # As after an outage of Redis that was longer than any lead of its heartbeat.
            redis_server.client.zadd(KEYS.heartbeats, {silent_id: now_ms(redis_server) - AN_HOUR_MS})
            send(redis_server, "look")
            environment = {wire.ENV_REDIS_URL: redis_server.url, wire.ENV_QUEUES: jobs.QUEUE, wire.ENV_THREADS: "1"}
            with started([CREWCALL_WORKER, "run", "tests.support.own_broker_jobs"], environment, tmp_path / "own.log"):
                wait_until(lambda: redis_server.client.get(LOOKED), "the broker to be asked")

                assert held(redis_server, silent_id) == 1
                assert redis_server.client.llen(jobs.BEGUN) == 1
