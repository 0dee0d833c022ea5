"""A recording of real workers: what they run is in the trace, and nothing is written while nobody records."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from dramatiq import Message
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from tests.support import jobs
from tests.support.redis import RedisServer, a_pool
from tests.support.waiting import DEADLINE, wait_until
from tests.support.workers import worker

from crewcall_operator.adapters.redis_traces import RedisTraces, Taken
from crewcall_operator.cli import main
from crewcall_operator.simulation.trace import read_trace
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues.running import Run
from crewcall_worker.recording import Recording

CREWCALL = str(Path(sys.executable).parent / "crewcall")
KEYS = wire.Keys()
POOL = """
apiVersion: crewcall.dev/v1alpha1
kind: WorkerPool
metadata: {name: sms}
spec:
  redis: {url: "redis://redis:6379/0"}
  queues: [{name: sms}]
  maxReplicas: 4
  target: {queueLatency: 10s}
  template: {spec: {containers: [{name: worker, image: worker}]}}
"""


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    file = tmp_path / "pool.yaml"
    file.write_text(POOL)
    return file


@contextmanager
def recording(server: RedisServer, pool: Path, out: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`crewcall record`, once workers have been asked."""
    subscribers = redis.client.PubSub(server.client.connection_pool)
    subscribers.subscribe(KEYS.recording)
    process = subprocess.Popen(
        [CREWCALL, "record", "-f", str(pool), "-o", str(out), "--redis", server.url, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(
            lambda: (subscribers.get_message(timeout=0.1) or {}).get("type") == "message",
            "the recorder to ask for a trace",
        )
        yield process
    finally:
        subscribers.close()
        if process.poll() is None:
            process.kill()
        process.communicate()


def send(server: RedisServer, jobs_: int, *, failing: int = 0) -> None:
    broker = CrewcallBroker(url=server.url)
    for job in range(jobs_):
        broker.enqueue(Message(jobs.QUEUE, "hold", (job,), {}, {}))
    for _ in range(failing):
        broker.enqueue(Message(jobs.QUEUE, "fail", (), {}, {}))
    broker.close()


def is_heard(server: RedisServer) -> bool:
    """Whether a worker listens for recorders."""
    return dict(server.client.pubsub_numsub(KEYS.recording)) == {KEYS.recording: 1}


def told(server: RedisServer) -> int:
    """Jobs that ended, as far as workers have told: each second, and of the rows for a recorder last."""
    counters = server.client.hmget(KEYS.stats(jobs.QUEUE), [wire.Counter.DONE, wire.Counter.FAILED])
    return sum(int(counter or 0) for counter in counters)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=DEADLINE)
    return process.returncode, stdout, stderr


def test_a_recording_of_real_workers_is_a_trace_that_can_be_simulated(
    redis_server: RedisServer, pool: Path, tmp_path: Path
) -> None:
    out = tmp_path / "jobs.csv"
    with (
        recording(redis_server, pool, out) as recorder,
        worker("crewcall-worker", redis_server, tmp_path, threads=2),
    ):
        send(redis_server, 3, failing=1)
        wait_until(lambda: redis_server.client.llen(jobs.BEGUN) == 2, "two jobs to begin")
        jobs.let_go(redis_server.client, 2)
        wait_until(lambda: redis_server.client.llen(jobs.BEGUN) == 3, "the third one to begin")
        wait_until(lambda: told(redis_server) == 3, "the worker to tell of three, one of which fails")
        status, stdout, _ = finish(recorder)
        jobs.let_go(redis_server.client, 1)

    assert (status, stdout) == (0, f"{out}: 3 jobs. Left out: 1 that is not over.\n")
    trace = read_trace(out)
    assert len(trace.arrivals) == 3
    assert max(trace.services) < 15
    simulated = CliRunner().invoke(main, ["simulate", "-f", str(pool), "--trace", str(out), "--json"])
    assert json.loads(simulated.stdout)["jobs"] == 3


def test_jobs_that_were_ready_before_are_left_out(redis_server: RedisServer, pool: Path, tmp_path: Path) -> None:
    send(redis_server, 1)
    with (
        recording(redis_server, pool, tmp_path / "jobs.csv") as recorder,
        worker("crewcall-worker", redis_server, tmp_path, threads=1),
    ):
        send(redis_server, 1)
        jobs.let_go(redis_server.client, 2)
        wait_until(lambda: told(redis_server) == 2, "the worker to tell of both")
        _, stdout, _ = finish(recorder)

    assert stdout.endswith("jobs.csv: 1 job. Left out: 1 that was ready before the beginning.\n")


def test_nothing_is_written_while_nobody_records(redis_server: RedisServer, tmp_path: Path) -> None:
    send(redis_server, 1)
    jobs.let_go(redis_server.client, 1)
    with worker("crewcall-worker", redis_server, tmp_path, threads=1) as process:
        wait_until(lambda: redis_server.client.hget(KEYS.stats("sms"), "done") == "1", "the job to be counted")
        process.terminate()
        assert process.exit_status() == 0

    assert redis_server.client.exists(KEYS.trace("sms")) == 0


async def test_what_a_worker_ran_is_taken_once_and_kept_for_a_while_only(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    traces, of = RedisTraces(), a_pool(redis_server.url, "sms")
    with worker("crewcall-worker", redis_server, tmp_path, threads=1):
        await asyncio.to_thread(wait_until, lambda: is_heard(redis_server), "the worker to listen")
        before = await traces.take(of)
        broker = RedisBroker(url=redis_server.url)  # a plain producer: no ready_at
        sent: list[int] = []
        while not redis_server.client.exists(KEYS.trace("sms")):  # it hears of the recorder in its own time
            sent.append(broker.enqueue(Message(jobs.QUEUE, "hold", (1,), {}, {})).message_timestamp)
            jobs.let_go(redis_server.client, 1)
            await asyncio.to_thread(wait_until, lambda: told(redis_server) == len(sent), "the worker to tell of it")
        assert 0 < int(redis_server.client.pttl(KEYS.trace("sms"))) <= wire.TRACE_KEPT_MS
        taken, again = await traces.take(of), await traces.take(of)
        broker.close()
    await traces.aclose()

    assert before == Taken(before.now_ms, (), arrived=0, outstanding=0, unread=0, is_cut=False)
    assert taken.runs
    ran = [ready_ms for ready_ms, _ in (*taken.runs, *again.runs)]
    assert ran == [ready_ms for ready_ms in sent if ready_ms in ran]
    assert all(0 <= service_ms < taken.now_ms - before.now_ms for _, service_ms in taken.runs)


async def test_a_worker_that_comes_while_somebody_records_tells_of_its_first_jobs(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    traces, of, key = RedisTraces(), a_pool(redis_server.url, "sms"), KEYS.recorder("sms")
    await traces.take(of)
    send(redis_server, 0, failing=3)
    assert 0 < int(redis_server.client.pttl(key)) <= wire.RECORDED_FOR_MS
    redis_server.client.pexpire(key, 60_000)  # however long the worker takes to start here
    with worker("crewcall-worker", redis_server, tmp_path, threads=1):
        await asyncio.to_thread(
            wait_until, lambda: redis_server.client.llen(KEYS.trace("sms")) == 3, "the worker to write"
        )
    await traces.aclose()


def test_a_worker_whose_connection_was_away_looks_whether_somebody_records(redis_server: RedisServer) -> None:
    broker = RedisBroker(url=redis_server.url)
    recording = Recording(broker.client, KEYS, ("email", "sms"))
    run = Run(MessageProxy(Message("sms", "hold", (), {}, {})), "one", "sms", began=0.0)
    recording.note(run)
    redis_server.client.set(KEYS.recorder("sms"), "1", px=60_000)
    recording.hear("")
    recording.note(run)
    recording.write()
    broker.close()

    assert redis_server.client.llen(KEYS.trace("sms")) == 1


def test_a_worker_that_cannot_ask_whether_somebody_records_works_all_the_same(tmp_path: Path) -> None:
    broker = RedisBroker(url=f"unix://{tmp_path}/none.sock")

    Recording(broker.client, KEYS, ("sms",)).hear("")


def test_rows_that_cannot_be_read_are_counted_and_left_out(
    redis_server: RedisServer, pool: Path, tmp_path: Path
) -> None:
    out = tmp_path / "jobs.csv"
    with recording(redis_server, pool, out) as recorder:
        seconds, microseconds = redis_server.client.time()
        ready_ms = seconds * 1000 + microseconds // 1000 + 1
        rows = ("", "x 1", f"{ready_ms} nan", f"{ready_ms} -1", f"{ready_ms} 0.125 more")
        redis_server.client.rpush(KEYS.trace("sms"), *rows)
        status, stdout, _ = finish(recorder)

    assert (status, stdout) == (0, f"{out}: 1 job. Left out: 4 whose row cannot be read.\n")
    assert read_trace(out).services == (0.000125,)


def test_jobs_of_plain_producers_that_are_not_over_are_counted_too(
    redis_server: RedisServer, pool: Path, tmp_path: Path
) -> None:
    out, broker = tmp_path / "jobs.csv", RedisBroker(url=redis_server.url)
    with (
        recording(redis_server, pool, out) as recorder,
        worker("crewcall-worker", redis_server, tmp_path, threads=1),
    ):
        for job in range(3):
            broker.enqueue(Message(jobs.QUEUE, "hold", (job,), {}, {}))
        jobs.let_go(redis_server.client, 1)
        wait_until(lambda: told(redis_server) == 1, "the worker to tell of the first")
        status, stdout, _ = finish(recorder)
        jobs.let_go(redis_server.client, 2)
    broker.close()

    assert (status, stdout) == (0, f"{out}: 1 job. Left out: 2 that are not over.\n")


def test_says_so_when_there_is_nothing_to_write(redis_server: RedisServer, pool: Path, tmp_path: Path) -> None:
    with recording(redis_server, pool, tmp_path / "jobs.csv") as recorder:
        status, stdout, stderr = finish(recorder)

    assert (status, stdout) == (1, "")
    assert "No job of default/sms became ready and ended" in stderr
    assert "Do its workers run crewcall-worker, on these queues?" in stderr
    assert not (tmp_path / "jobs.csv").exists()


def test_ends_by_itself_after_the_time_it_was_given(redis_server: RedisServer, pool: Path, tmp_path: Path) -> None:
    with recording(redis_server, pool, tmp_path / "jobs.csv", "--for", "500ms") as recorder:
        recorder.wait(timeout=DEADLINE)

    assert recorder.returncode == 1


def test_says_that_redis_is_away_and_which(pool: Path, tmp_path: Path) -> None:
    absent = f"unix://{tmp_path}/none.sock"

    result = CliRunner().invoke(main, ["record", "-f", str(pool), "-o", str(tmp_path / "a.csv"), "--redis", absent])

    assert result.exit_code == 1
    assert re.match(rf"Error: Redis {tmp_path}/none\.sock/0 cannot be written to: no connection", result.stderr)
    assert "--redis" not in result.stderr


def test_says_how_to_reach_a_redis_that_only_its_cluster_knows_by_name(pool: Path, tmp_path: Path) -> None:
    pool.write_text(POOL.replace("redis://redis:6379/0", f"unix://{tmp_path}/none.sock"))

    result = CliRunner().invoke(main, ["record", "-f", str(pool), "-o", str(tmp_path / "a.csv")])

    assert result.exit_code == 1
    assert result.stderr.endswith("which may name a host of its cluster: --redis URL takes another way to it.\n")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--for", "10"], '"10"; expected a duration above zero, such as 30s, 1m30s or 500ms.'),
        (["-o", f"{os.sep}none{os.sep}jobs.csv"], "there is no folder /none."),
        (["--redis", "redis"], '"redis" is no URL of a Redis. Write redis://'),
    ],
)
def test_says_what_is_wrong_with_its_options(pool: Path, options: list[str], complaint: str) -> None:
    result = CliRunner().invoke(main, ["record", "-f", str(pool), *options])

    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.split())
