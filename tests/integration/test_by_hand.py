"""What people ask of a pool by hand reaches real workers: a pin, and a worker that is to drain."""

from __future__ import annotations

from pathlib import Path

from tests.integration.test_local import hold_jobs, local, wait_for_begun
from tests.support import jobs
from tests.support.processes import is_alive
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from crewcall_worker import wire
from crewcall_worker.queues.drains import Drains
from crewcall_worker.queues.pins import Pins

KEYS = wire.Keys()
#: As in a cluster, where a pool is told of with its namespace.
POOL = "default/notifications"


def told(server: RedisServer) -> wire.PoolRecord:
    text = server.client.get(KEYS.pool(POOL))
    return wire.PoolRecord(POOL) if text is None else wire.read_pool(POOL, str(text))


def workers(server: RedisServer) -> list[wire.WorkerRecord]:
    found = server.client.hgetall(KEYS.workers(POOL))
    return [wire.read_worker(str(id_), text) for id_, text in found.items()]


def test_a_pool_is_held_where_it_was_pinned_and_goes_home_when_it_is_not(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    pins = Pins(redis_server.client, "dramatiq")
    with local(tmp_path, "--redis", redis_server.url) as running:
        wait_until(lambda: told(redis_server).reason == "Idle", "the pool to rest")

        pins.pin(POOL, 2, by="ada")
        wait_until(lambda: len(workers(redis_server)) == 2, "two workers")
        wait_until(lambda: told(redis_server).ready_replicas == 2, "the pool to be told of as it is")
        pinned = told(redis_server)
        pins.unpin(POOL, by="ada")
        wait_until(lambda: not any(map(is_alive, running.workers())), "the workers to go")

    history = redis_server.client.xrange(KEYS.history(POOL)) or []
    entries = [wire.read_history(str(id_), fields or {}) for id_, fields in history]
    decisions = [(it.current, it.desired, it.reason) for it in entries if it.is_decision]
    assert (pinned.pinned, pinned.pinned_by, pinned.reason, pinned.desired) == (2, "ada", "Pinned", 2)
    assert decisions[0] == (0, 2, "Pinned")
    assert decisions[-1][1] == 0


def test_a_worker_that_is_to_drain_finishes_its_job_and_another_takes_its_place(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    client = redis_server.client
    with local(tmp_path, "--redis", redis_server.url) as running:
        hold_jobs(redis_server.url, 1)
        wait_for_begun(client, 1)
        (first,) = workers(redis_server)
        (pid,) = running.workers()

        Drains(client, "dramatiq").ask(POOL, first.worker, by="ada")
        wait_until(lambda: told(redis_server).draining == 1, "it to be told of as draining")
        hold_jobs(redis_server.url, 1)
        wait_for_begun(client, 2)
        assert is_alive(pid)
        jobs.let_go(client, 1)
        wait_until(lambda: not is_alive(pid), "the first worker to go")
        (second,) = workers(redis_server)
        jobs.let_go(client, 1)
        wait_until(lambda: client.llen(jobs.DONE) == 2, "both jobs to be done")

    assert second.worker != first.worker
    assert second.pod != first.pod
    assert client.exists(KEYS.asked(POOL)) == 0
