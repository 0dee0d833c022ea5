"""What Prometheus and the kubelet get from a worker's port, through the worker's whole life; and of a hung one."""

from __future__ import annotations

import re
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import PriorityQueue
from types import SimpleNamespace
from typing import Any

import pytest
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from dramatiq.worker import WorkerThread
from tests.support import jobs
from tests.support.ports import free_port
from tests.support.redis import RedisServer, emptied
from tests.support.waiting import DEADLINE, wait_until
from tests.support.workers import WorkerProcess, started, worker

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.health import HUNG_AFTER, Health
from crewcall_worker.intake import Intake

POD = "notifications-1"
IMPATIENCE = 5.0
BOOT = "test:boot"


def get(port: int, path: str) -> tuple[int, str]:
    """Status and text; (0, ...) where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=DEADLINE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def samples(port: int) -> dict[str, float]:
    """Crewcall's samples but for the histogram's buckets."""
    _, text = get(port, "/metrics")
    found = re.findall(r"^(crewcall_worker_\S+) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found if "_bucket" not in name and "_created" not in name}


def test_metrics_outlive_sigterm_until_the_last_job_is_done(redis_server: RedisServer, tmp_path: Path) -> None:
    port = free_port()
    broker = CrewcallBroker(url=redis_server.url)
    for job in range(2):
        broker.enqueue(jobs.hold.message(job))
    broker.close()
    with worker("crewcall-worker", redis_server, tmp_path, environment={wire.ENV_METRICS_PORT: str(port)}) as running:
        wait_until(lambda: redis_server.client.llen(jobs.BEGUN) == 2, "two jobs to begin")
        wait_until(lambda: get(port, "/readyz") == (200, "ok\n"), "the worker to be ready")
        running.terminate()
        jobs.let_go(redis_server.client, 1)
        wait_until(lambda: samples(port).get('crewcall_worker_running_jobs{queue="sms"}') == 1, "one job to be done")

        assert get(port, "/healthz") == (200, "ok\n")
        seen = samples(port)
        assert seen.pop('crewcall_worker_busy_seconds_total{queue="sms"}') > 0
        assert seen.pop('crewcall_worker_wait_seconds_sum{queue="sms"}') > 0
        assert seen == {
            'crewcall_worker_running_jobs{queue="sms"}': 1,
            'crewcall_worker_jobs_started_total{queue="sms"}': 2,
            'crewcall_worker_jobs_total{outcome="done",queue="sms"}': 1,
            'crewcall_worker_jobs_total{outcome="failed",queue="sms"}': 0,
            'crewcall_worker_jobs_total{outcome="retried",queue="sms"}': 0,
            'crewcall_worker_wait_seconds_count{queue="sms"}': 2,
        }
        jobs.let_go(redis_server.client, 1)
        assert running.exit_status() == 0

    assert get(port, "/metrics")[0] == 0
    # Nothing that was counted is lost with the process.
    counts = redis_server.client.hgetall(wire.Keys().stats("sms"))
    assert {name: counts.get(name) for name in ("enqueued", "started", "done")} == {
        "enqueued": "2",
        "started": "2",
        "done": "2",
    }


def test_a_worker_that_waits_for_redis_is_healthy_but_not_ready(tmp_path: Path) -> None:
    port = free_port()
    with EmbeddedRedis(keeps_data=True) as server, emptied(server) as lent:
        server.stop()
        with worker("crewcall-worker", lent, tmp_path, environment={wire.ENV_METRICS_PORT: str(port)}) as running:
            running.wait_for("Waiting for Redis")

            assert get(port, "/healthz") == (200, "ok\n")
            assert get(port, "/readyz") == (503, "the worker has not started yet\n")
            assert get(port, "/nothing") == (404, "Try /metrics, /healthz or /readyz.\n")

            server.start()
            wait_until(lambda: get(port, "/readyz") == (200, "ok\n"), "the worker to be ready")


def test_a_port_that_is_taken_ends_the_worker_with_status_2(redis_server: RedisServer, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with worker("crewcall-worker", redis_server, tmp_path, environment={wire.ENV_METRICS_PORT: port}) as running:
            assert running.exit_status() == 2

            assert running.says(f"CREWCALL_METRICS_PORT is '{port}'; it cannot be listened on: ")


def test_nothing_is_served_unless_it_is_asked_for(redis_server: RedisServer, tmp_path: Path) -> None:
    broker = RedisBroker(url=redis_server.url)
    broker.enqueue(jobs.hold.message(0))
    broker.close()
    with worker("crewcall-worker", redis_server, tmp_path) as running:
        wait_until(lambda: redis_server.client.llen(jobs.BEGUN) == 1, "a job to begin")
        listening = Path(f"/proc/{running.process.pid}/net/tcp").read_text()
        own = {
            Path(f"/proc/{running.process.pid}/fd/{entry.name}").readlink().name
            for entry in Path(f"/proc/{running.process.pid}/fd").iterdir()
        }
        sockets = {f"socket:[{line.split()[9]}]" for line in listening.splitlines()[1:] if line.split()[3] == "0A"}

        assert own & sockets == set()


@contextmanager
def impatient(server: RedisServer, tmp_path: Path, port: int, **variables: str) -> Iterator[WorkerProcess]:
    """A worker that is taken for hung after `IMPATIENCE` rather than a minute."""
    environment = {
        wire.ENV_REDIS_URL: server.url,
        wire.ENV_THREADS: "2",
        wire.ENV_POD: POD,
        wire.ENV_METRICS_PORT: str(port),
        "TEST_HUNG_AFTER": str(IMPATIENCE),
        **variables,
    }
    arguments = [str(Path(sys.executable).parent / "crewcall-worker"), "run", "tests.support.stuck_jobs"]
    with started(arguments, environment, tmp_path / "worker.log") as running:
        yield running


def send(server: RedisServer, actor: str, *arguments: object) -> None:
    broker = RedisBroker(url=server.url)
    broker.enqueue(Message(jobs.QUEUE, actor, arguments, {}, {}))
    broker.close()


def answers_throughout(port: int, path: str, seconds: float) -> set[tuple[int, str]]:
    """All that is answered within that time."""
    answers = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answers.add(get(port, path))
        time.sleep(0.05)
    return answers


def test_a_worker_with_a_long_job_is_healthy_for_as_long_as_the_job_takes(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    port = free_port()
    send(redis_server, "hold", 0)
    send(redis_server, "hold", 1)
    with impatient(redis_server, tmp_path, port):
        wait_until(lambda: redis_server.client.llen(jobs.BEGUN) == 2, "both threads to be busy")
        wait_until(lambda: get(port, "/readyz") == (200, "ok\n"), "the worker to be ready")

        assert answers_throughout(port, "/healthz", 2 * IMPATIENCE) == {(200, "ok\n")}


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("presence", "the presence has stood still for "),
        ("consumer", "the consumer of sms"),
        ("steward", "the worker has not done what it was asked to for "),
    ],
)
def test_a_worker_of_which_a_part_is_stuck_is_not_healthy_though_a_job_runs(
    part: str, words: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    port = free_port()
    send(redis_server, "hold", 0)
    with impatient(redis_server, tmp_path, port):
        wait_until(lambda: redis_server.client.llen(jobs.BEGUN) == 1, "a job to begin")
        wait_until(lambda: get(port, "/readyz") == (200, "ok\n"), "the worker to be ready")

        send(redis_server, "stick", part)
        redis_server.client.hset(wire.Keys().orders(""), POD, wire.Order.DRAIN)
        wait_until(lambda: get(port, "/healthz")[0] == 503, "the probe to fail")

        assert get(port, "/healthz")[1].startswith(words)
        assert redis_server.client.llen(jobs.DONE) == 0


def test_a_worker_that_takes_long_to_start_is_healthy_but_not_ready(redis_server: RedisServer, tmp_path: Path) -> None:
    port = free_port()
    with impatient(redis_server, tmp_path, port, TEST_SLOW_BOOT=BOOT):
        wait_until(lambda: redis_server.client.exists(f"{BOOT}:begun"), "the worker to boot")

        assert answers_throughout(port, "/healthz", 1.5 * IMPATIENCE) == {(200, "ok\n")}
        assert get(port, "/readyz") == (503, "the worker has not started yet\n")

        redis_server.client.rpush(BOOT, 1)
        wait_until(lambda: get(port, "/readyz") == (200, "ok\n"), "the worker to be ready")


NOW = 1_000.0


@pytest.mark.parametrize(
    ("presence_at", "redis_at", "consumer_at", "asked_at", "wrong"),
    [
        (NOW - 1, NOW - 1, NOW - 1, None, ""),
        (NOW - 1, NOW - 1, NOW - 1, NOW - 1, ""),
        (NOW - HUNG_AFTER - 1, NOW - 1, NOW, None, "the presence has stood still for 61 s"),
        (NOW, NOW - 1, NOW - HUNG_AFTER - 1, None, "the consumer of sms has stood still for 61 s"),
        (NOW, NOW - 1, NOW, NOW - HUNG_AFTER - 1, "the worker has not done what it was asked to for 61 s"),
        # While Redis is away, consumers wait for it, however long that takes.
        (NOW - 1, NOW - 3_600, NOW - 3_600, None, ""),
    ],
)
def test_a_hung_worker_is_told_from_one_that_waits(
    presence_at: float, redis_at: float, consumer_at: float, asked_at: float | None, wrong: str
) -> None:
    intake: Any = SimpleNamespace(
        seen_at=redis_at, consumers={"sms": SimpleNamespace(looked_at=consumer_at)}, lost_threads=lambda: 0
    )
    presence: Any = SimpleNamespace(looked_at=presence_at, is_known=True)
    steward: Any = SimpleNamespace(unattended_since=asked_at)

    assert Health(intake, presence, steward, steady=lambda: NOW).is_hung() == wrong


def test_a_worker_that_has_lost_a_thread_is_not_healthy(redis_server: RedisServer) -> None:
    broker = RedisBroker(url=redis_server.url, middleware=[])
    intake = Intake(broker, "pool")
    presence: Any = SimpleNamespace(looked_at=NOW, is_known=True)
    steward: Any = SimpleNamespace(unattended_since=None)
    health = Health(intake, presence, steward, steady=lambda: NOW)
    dead, stopped, alive = (
        WorkerThread(broker=broker, consumers={}, work_queue=PriorityQueue(), worker_timeout=1) for _ in range(3)
    )
    for thread in (dead, stopped, alive):
        intake.after_worker_thread_boot(broker, thread)
    alive.running = dead.running = True
    alive.is_alive = lambda: True  # type: ignore[method-assign]
    broker.close()

    assert health.is_hung() == "1 of the threads that run jobs have died; the log says of what"


def test_a_worker_is_ready_once_redis_knows_it() -> None:
    intake: Any = SimpleNamespace(seen_at=time.monotonic(), consumers={}, lost_threads=lambda: 0)
    presence: Any = SimpleNamespace(looked_at=time.monotonic(), is_known=False)
    steward: Any = SimpleNamespace(unattended_since=None)
    health = Health(intake, presence, steward)
    assert health.is_starting() == "Redis has not taken this worker's record yet"

    presence.is_known = True

    assert health.is_starting() == ""
