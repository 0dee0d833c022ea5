"""`crewcall local` with workers that tell of themselves: who goes, who stays, and what a dead one leaves behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import redis
from tests.integration.test_local import TWO_AND_ONE_TO_WAIT, hold_jobs, local, wait_for_begun
from tests.support import jobs
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker

KEYS = wire.Keys()
POOL = "default/notifications"

#: Seconds after which the dead one's silence would have told: sooner, it was told of by who saw it end.
AS_SILENT = wire.LAPSED_AFTER_MS / 1000 - 2 * wire.BEAT_EVERY

#: Seconds by which the producer's clock and Redis' may differ.
A_CLOCKS_ERROR = 0.5


def records(client: redis.Redis) -> dict[str, wire.WorkerRecord]:
    """What the workers tell of themselves, by id."""
    told = client.hgetall(KEYS.workers(POOL))
    return {str(worker): wire.read_worker(str(worker), text) for worker, text in told.items()}


def busy(client: redis.Redis) -> set[str]:
    return {worker for worker, record in records(client).items() if record.busy}


def test_the_idle_worker_goes_and_the_busy_one_stays(redis_server: RedisServer, tmp_path: Path) -> None:
    client = redis_server.client
    with local(tmp_path, "--redis", redis_server.url) as running:
        hold_jobs(redis_server.url, TWO_AND_ONE_TO_WAIT)
        wait_for_begun(client, 2)
        wait_until(lambda: len(busy(client)) == 2, "both workers to be at work")

        jobs.let_go(client, 2)
        wait_for_begun(client, 3)
        wait_until(lambda: len(records(client)) == 1, "one worker to go")
        (stayed,) = records(client)

        wait_until(lambda: busy(client) == {stayed}, "the one that stayed to tell of its job")
        assert client.llen(jobs.DONE) == 2
        assert ": 1 of 2 replicas suffice" in running.text()
        jobs.let_go(client, 1)
        running.wait_for("→ 0 replicas")
        wait_until(lambda: not client.exists(KEYS.workers(POOL)), "nothing to be on record")
    assert client.llen(jobs.BEGUN) == 3
    assert client.llen(jobs.DONE) == 3


def test_the_job_of_a_killed_worker_comes_back_and_is_done_by_another(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    client = redis_server.client
    with local(tmp_path, "--redis", redis_server.url) as running:
        hold_jobs(redis_server.url, TWO_AND_ONE_TO_WAIT)
        wait_for_begun(client, 2)
        wait_until(lambda: len(busy(client)) == 2, "both workers to be at work")

        os.kill(running.workers()[0], signal.SIGKILL)
        killed = time.monotonic()
        running.wait_for(" back in the queue")
        took = time.monotonic() - killed
        wait_for_begun(client, 3)
        jobs.let_go(client, 3)
        wait_until(lambda: client.llen(jobs.DONE) == 3, "all jobs to be done")

    assert took < AS_SILENT
    assert sorted(client.lrange(jobs.DONE, 0, -1)) == ["0", "1", "2"]


def test_a_sleeping_pool_wakes_at_a_hint_and_not_with_the_next_look(redis_server: RedisServer, tmp_path: Path) -> None:
    with local(tmp_path, "--redis", redis_server.url, "--interval", "60") as running:
        running.wait_for("0 replicas, Idle")
        wait_until(lambda: redis_server.client.pubsub_numsub(KEYS.hints)[0][1], "the subscription")
        broker = CrewcallBroker(url=redis_server.url)
        broker.enqueue(jobs.hold.message(0))
        broker.close()

        running.wait_for("0 → 1 replicas, Activated")
        wait_for_begun(redis_server.client, 1)
        jobs.let_go(redis_server.client, 1)
        wait_until(lambda: redis_server.client.llen(jobs.DONE) == 1, "the job to be done")


def test_a_sleeping_pool_wakes_for_a_delayed_job_in_time(redis_server: RedisServer, tmp_path: Path) -> None:
    with local(tmp_path, "--redis", redis_server.url) as running:
        running.wait_for("0 replicas, Idle")
        broker = CrewcallBroker(url=redis_server.url)
        due = time.monotonic() + 4.0
        broker.enqueue(jobs.hold.message(0), delay=4_000)
        broker.close()
        running.wait_for("0 → 1 replicas, DueSoon: the next delayed job is due in ")  # else it is due
        wait_for_begun(redis_server.client, 1)
        assert time.monotonic() >= due - A_CLOCKS_ERROR
        jobs.let_go(redis_server.client, 1)
        running.wait_for("→ 0 replicas")
