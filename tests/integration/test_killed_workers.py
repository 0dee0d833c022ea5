"""Workers that are killed, as processes: their jobs run elsewhere, soon and once; who lives is left alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.support import jobs
from tests.support.redis import RedisServer, emptied
from tests.support.waiting import wait_until
from tests.support.workers import WorkerProcess, worker

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.recovery import PREDECESSOR_SILENT_MS

KEYS = wire.Keys()
POOL = wire.pool_name("shop", "notifications")
LAPSE = 3.0


@contextmanager
def member(
    server: RedisServer, folder: Path, pod: str, *, threads: int = 2, lapse: float = LAPSE
) -> Iterator[WorkerProcess]:
    """A worker of the pool, in this pod."""
    (folder / pod).mkdir(exist_ok=True)
    environment = {
        wire.ENV_NAMESPACE: "shop",
        wire.ENV_POOL: "notifications",
        wire.ENV_POD: pod,
        wire.ENV_LAPSED_AFTER: str(lapse),
    }
    with worker("crewcall-worker", server, folder / pod, threads=threads, environment=environment) as running:
        yield running


def send(server: RedisServer, held: int) -> None:
    broker = CrewcallBroker(url=server.url)
    for job in range(held):
        broker.enqueue(jobs.hold.message(job))
    broker.close()


def begun(server: RedisServer) -> list[str]:
    return [str(job) for job in server.client.lrange(jobs.BEGUN, 0, -1)]


def has_begun(server: RedisServer, jobs_begun: int) -> bool:
    return len(begun(server)) == jobs_begun


def now_ms(server: RedisServer) -> int:
    seconds, microseconds = server.client.time()
    return int(seconds * 1000 + microseconds // 1000)


def records(server: RedisServer) -> list[wire.WorkerRecord]:
    return [wire.read_worker(str(field), text) for field, text in server.client.hgetall(KEYS.workers(POOL)).items()]


def busy(server: RedisServer) -> dict[str, int]:
    """How many jobs each pod's worker runs, by its record."""
    return {record.pod or "": record.busy or 0 for record in records(server)}


def test_a_new_worker_in_the_same_pod_takes_over_at_once(redis_server: RedisServer, tmp_path: Path) -> None:
    send(redis_server, held=4)
    with member(redis_server, tmp_path, "pod-1", lapse=60) as first:
        wait_until(lambda: len(begun(redis_server)) == 2, "two jobs to begin")
        wait_until(lambda: redis_server.client.llen(KEYS.ready("sms")) == 0, "the others to be prefetched")
        first.kill()
    with member(redis_server, tmp_path, "pod-1", lapse=60):
        wait_until(lambda: len(begun(redis_server)) == 4, "two jobs to begin again")

        # The oldest first, though the younger ones had not been begun.
        assert sorted(begun(redis_server)) == ["0", "0", "1", "1"]
        jobs.let_go(redis_server.client, 4)
        wait_until(lambda: redis_server.client.hlen(KEYS.messages("sms")) == 0, "all to be done")
    assert sorted(redis_server.client.lrange(jobs.DONE, 0, -1)) == ["0", "1", "2", "3"]


def test_a_sibling_in_the_same_pod_that_stands_still_is_not_dead_while_its_process_lives(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    send(redis_server, held=1)
    with member(redis_server, tmp_path, "pod-1", lapse=60) as first:
        wait_until(lambda: begun(redis_server) == ["0"], "the job to begin")
        os.kill(first.process.pid, signal.SIGSTOP)
        (tmp_path / "second").mkdir()
        with member(redis_server, tmp_path / "second", "pod-1", lapse=60):
            wait_until(lambda: len(records(redis_server)) == 2, "the second to be known")
            until = time.monotonic() + PREDECESSOR_SILENT_MS / 1000 + 1
            wait_until(lambda: time.monotonic() > until, "a dead one to be recovered")

            assert begun(redis_server) == ["0"]
            assert redis_server.client.zcard(KEYS.fenced(POOL)) == 0
            os.kill(first.process.pid, signal.SIGCONT)
            jobs.let_go(redis_server.client, 1)
            wait_until(lambda: redis_server.client.hlen(KEYS.messages("sms")) == 0, "the job to be done")


def test_a_colleague_takes_over_when_a_worker_is_silent_for_the_lapse(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    send(redis_server, held=2)
    with member(redis_server, tmp_path, "pod-1") as first, member(redis_server, tmp_path, "pod-2", threads=4):
        wait_until(lambda: len(records(redis_server)) == 2, "both workers to be known")
        wait_until(lambda: sum(busy(redis_server).values()) == 2, "the jobs to begin, and to be told of")
        lost = busy(redis_server).get("pod-1", 0)
        first.kill()

        wait_until(lambda: len(records(redis_server)) == 1, "the death to be seen")
        wait_until(lambda: len(begun(redis_server)) == 2 + lost, "its jobs to begin again")
        jobs.let_go(redis_server.client, 2)
        wait_until(lambda: redis_server.client.hlen(KEYS.messages("sms")) == 0, "all to be done")


def test_a_worker_that_comes_back_from_the_dead_runs_no_job_that_others_have(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    send(redis_server, held=2)
    with member(redis_server, tmp_path, "pod-1", threads=1) as stalled:
        wait_until(lambda: begun(redis_server) == ["0"], "a job to begin")
        wait_until(lambda: redis_server.client.llen(KEYS.ready("sms")) == 0, "another to be prefetched")
        os.kill(stalled.process.pid, signal.SIGSTOP)
        with member(redis_server, tmp_path, "pod-2"):
            wait_until(lambda: len(begun(redis_server)) == 3, "both jobs to begin elsewhere")
            os.kill(stalled.process.pid, signal.SIGCONT)
            stalled.wait_for("This worker was declared dead as")
            jobs.let_go(redis_server.client, 3)
            wait_until(lambda: redis_server.client.hlen(KEYS.messages("sms")) == 0, "all to be done")
            wait_until(lambda: redis_server.client.llen(jobs.DONE) == 3, "the first run to end as well")

            assert sorted(begun(redis_server)) == ["0", "0", "1"]
            send(redis_server, held=8)  # it is a member again, under a new id
            both = {"pod-1", "pod-2"}
            wait_until(lambda: {r.pod for r in records(redis_server) if r.busy} == both, "both to run jobs")


def suspects(server: RedisServer, *, count: int, kills: int) -> None:
    """Jobs that were there when so many workers died."""
    send(server, held=count)
    for id_ in server.client.lrange(KEYS.ready("sms"), 0, -1):
        server.client.hset(KEYS.kills("sms"), str(id_), kills)


def test_jobs_beside_a_killer_run_one_by_one_so_that_only_the_killer_is_a_dead_letter(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    suspects(redis_server, count=3, kills=2)  # job 0 will be the killer
    with member(redis_server, tmp_path, "pod-1", threads=4) as first:
        wait_until(lambda: begun(redis_server) == ["0"], "the first to begin")
        wait_until(lambda: redis_server.client.llen(KEYS.ready("sms")) == 0, "the others to be prefetched")
        send(redis_server, held=1)
        wait_until(lambda: redis_server.client.llen(KEYS.ready("sms")) == 0, "one more to be prefetched")
        first.kill()
    assert begun(redis_server) == ["0"]
    with member(redis_server, tmp_path, "pod-1", threads=4):
        for number in range(3):
            wait_until(partial(has_begun, redis_server, 2 + number), "one more to begin")
            jobs.let_go(redis_server.client, 1)
        wait_until(lambda: redis_server.client.hlen(KEYS.messages("sms")) == 0, "all others to be done")

    assert redis_server.client.hlen(KEYS.messages("sms.XQ")) == 1
    assert sorted(redis_server.client.lrange(jobs.DONE, 0, -1)) == ["0", "1", "2"]  # the later job is a 0 as well


def test_a_suspect_that_waits_for_its_turn_goes_back_at_once_when_its_worker_drains(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    suspects(redis_server, count=2, kills=2)
    with member(redis_server, tmp_path, "pod-1", threads=2) as draining:
        wait_until(lambda: begun(redis_server) == ["0"], "the first to begin")
        wait_until(lambda: redis_server.client.llen(KEYS.ready("sms")) == 0, "the other to be prefetched")
        draining.terminate()
        wait_until(lambda: redis_server.client.llen(KEYS.ready("sms")) == 1, "the other to be back")
        jobs.let_go(redis_server.client, 1)

        assert draining.exit_status() == 0

    assert redis_server.client.lrange(jobs.DONE, 0, -1) == ["0"]
    assert list(redis_server.client.hvals(KEYS.kills("sms"))) == ["2"]


def test_an_outage_of_redis_is_not_the_death_of_workers(tmp_path: Path) -> None:
    with EmbeddedRedis(keeps_data=True) as server, emptied(server) as lent:
        send(lent, held=4)  # each prefetches one
        with member(lent, tmp_path, "pod-1", threads=1) as one, member(lent, tmp_path, "pod-2", threads=1) as two:
            wait_until(lambda: len(begun(lent)) == 2, "two jobs to begin")
            before = {record.worker for record in records(lent)}
            server.stop()
            away_until = time.monotonic() + LAPSE + 1
            wait_until(lambda: time.monotonic() > away_until, "the records to be older than the lapse")
            server.start()
            back = now_ms(lent)
            wait_until(lambda: all((r.at_ms or 0) > back for r in records(lent)), "both to tell of themselves")
            # Whoever looks now finds records that are fresh; whoever looked before has not been misled.
            one.wait_for("Redis takes this worker's record again")
            two.wait_for("Redis takes this worker's record again")

            assert {record.worker for record in records(lent)} == before
            assert lent.client.zcard(KEYS.fenced(POOL)) == 0
            assert len(begun(lent)) == 2
