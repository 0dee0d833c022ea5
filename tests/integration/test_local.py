"""`crewcall local` as people use it: a process, its output, its signals and what it leaves behind.

The workers are real Dramatiq workers; their command writes down each one's process id before it becomes the worker.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import redis
import yaml
from click.testing import CliRunner
from dramatiq.brokers.redis import RedisBroker
from tests.support import jobs
from tests.support.processes import is_alive
from tests.support.redis import RedisServer
from tests.support.waiting import DEADLINE, wait_until

from crewcall_operator.cli import main
from crewcall_operator.local import command

CREWCALL = str(Path(sys.executable).parent / "crewcall")
ROOT = Path(__file__).parents[2]
ON_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


@dataclass(frozen=True, slots=True)
class Local:
    """A running `crewcall local`."""

    process: subprocess.Popen[bytes]
    output: Path
    pid_file: Path

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, words: str) -> None:
        wait_until(lambda: words in self.text(), f"{words!r} in: {self.text()}")

    def workers(self) -> list[int]:
        """Every worker there ever was."""
        return [int(pid) for pid in self.pid_file.read_text().split()] if self.pid_file.exists() else []

    def kill(self) -> None:
        """Kill it; it closes its files, which tells others, a moment before it has ended."""
        self.process.kill()
        self.process.wait(DEADLINE)

    def exit_status(self) -> int:
        wait_until(lambda: self.process.poll() is not None, f"the end of it: {self.text()}")
        return self.process.returncode


def pool_file(tmp_path: Path, grace_period: str) -> Path:
    """A pool of up to two workers that does not hesitate."""
    worker = {
        "name": "worker",
        "image": "none",
        # As in Kubernetes, $$ stands for one dollar sign.
        "command": ["sh", "-c", f'echo $$$$ >> {tmp_path}/pids; exec "$@"', "sh"],
        "args": ["crewcall-worker", "run", "tests.support.jobs"],
    }
    pool = {
        "apiVersion": "crewcall.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": "notifications"},
        "spec": {
            "redis": {"url": "redis://of-the-cluster:6379/0"},
            "queues": [{"name": jobs.QUEUE}],
            "maxReplicas": 2,
            "target": {"backlogPerReplica": 1},
            "concurrency": 1,
            "cooldown": "0s",
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
            "drain": {"gracePeriod": grace_period},
            "template": {"spec": {"containers": [worker]}},
        },
    }
    file = tmp_path / "pool.yaml"
    file.write_text(yaml.safe_dump(pool))
    return file


@contextmanager
def local(
    tmp_path: Path,
    *options: str,
    around: Sequence[str] = (),
    grace_period: str = "60s",
    stdout: int | None = None,
    **variables: str,
) -> Iterator[Local]:
    """`crewcall local` on the pool, in a session of its own, as from a terminal's prompt. `stdout` is a descriptor to
    write to instead of the file. It serves no board, which takes seconds to start, but where `options` say so."""
    output = tmp_path / "output"
    pools = str(pool_file(tmp_path, grace_period))
    with output.open("wb") as written:
        process = subprocess.Popen(
            [*around, CREWCALL, "local", "-f", pools, "--interval", "0.05", "--no-board", *options],
            env={**os.environ, **variables},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=written if stdout is None else stdout,
            stderr=written,
            start_new_session=True,
        )
    running = Local(process, output, tmp_path / "pids")
    with process:
        try:
            yield running
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                running.wait_for("Drain")
                process.send_signal(signal.SIGINT)


# With two workers of one thread: one worker may fetch a second job ahead, never a third, so that each gets one.
TWO_AND_ONE_TO_WAIT = 3


def hold_jobs(url: str, count: int) -> None:
    broker = RedisBroker(url=url)
    for job in range(count):
        broker.enqueue(jobs.hold.message(job))
    broker.close()


def wait_for_begun(client: redis.Redis, count: int) -> None:
    wait_until(lambda: client.llen(jobs.BEGUN) == count, f"{count} jobs to begin")


def changes(output: str) -> list[str]:
    """The changes of replicas that were told, such as "0 → 2"."""
    return re.findall(r"(\d+ → \d+) replicas", output)


def test_a_pool_goes_from_nothing_to_its_workers_and_back(redis_server: RedisServer, tmp_path: Path) -> None:
    with local(tmp_path, "--redis", redis_server.url) as running:
        running.wait_for("0 replicas, Idle")
        hold_jobs(redis_server.url, TWO_AND_ONE_TO_WAIT)
        wait_for_begun(redis_server.client, 2)
        workers_at_work = [is_alive(pid) for pid in running.workers()]
        jobs.let_go(redis_server.client, 3)
        running.wait_for("→ 0 replicas")
        wait_until(lambda: not any(map(is_alive, running.workers())), "the workers to go")

    told = changes(running.text())
    assert workers_at_work == [True, True]
    assert (told[0][0], max(told)[0], told[-1][-1]) == ("0", "2", "0")
    assert sorted(redis_server.client.lrange(jobs.DONE, 0, -1)) == ["0", "1", "2"]


def test_a_killed_worker_is_started_again_and_the_line_says_so(redis_server: RedisServer, tmp_path: Path) -> None:
    with local(tmp_path, "--redis", redis_server.url) as running:
        hold_jobs(redis_server.url, 1)
        wait_for_begun(redis_server.client, 1)
        (first,) = running.workers()
        os.kill(first, signal.SIGKILL)
        running.wait_for("notifications-1 was killed by SIGKILL; starts again in 1 s")
        wait_until(lambda: len(running.workers()) == 2, "another worker to start")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_running_jobs_finish_and_leaves_no_process(
    number: signal.Signals, redis_server: RedisServer, tmp_path: Path
) -> None:
    with local(tmp_path, "--redis", redis_server.url) as running:
        hold_jobs(redis_server.url, TWO_AND_ONE_TO_WAIT)
        wait_for_begun(redis_server.client, 2)
        running.process.send_signal(number)
        running.wait_for("Draining 2 workers; Ctrl-C again kills.")
        jobs.let_go(redis_server.client, 1)
        running.wait_for("Draining 1 worker; Ctrl-C again kills.")
        jobs.let_go(redis_server.client, 1)
        status = running.exit_status()

    assert status == 0
    assert running.text().endswith("Drained; no worker is left.\n")
    done, begun = (redis_server.client.lrange(key, 0, -1) for key in (jobs.DONE, jobs.BEGUN))
    assert sorted(done) == sorted(begun)  # who began first is not let go first
    assert redis_server.client.llen(f"dramatiq:{jobs.QUEUE}") == 1  # the third job is there for the next worker
    assert [is_alive(pid) for pid in running.workers()] == [False, False]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_kills_the_workers(
    number: signal.Signals, status: int, redis_server: RedisServer, tmp_path: Path
) -> None:
    with local(tmp_path, "--redis", redis_server.url) as running:
        hold_jobs(redis_server.url, TWO_AND_ONE_TO_WAIT)
        wait_for_begun(redis_server.client, 2)
        running.process.send_signal(number)
        running.wait_for("Draining 2 workers")
        running.process.send_signal(number)

        assert running.exit_status() == status

    assert [is_alive(pid) for pid in running.workers()] == [False, False]
    assert redis_server.client.llen(jobs.DONE) == 0
    assert redis_server.client.hlen(f"dramatiq:{jobs.QUEUE}.msgs") == TWO_AND_ONE_TO_WAIT  # none is lost


def test_nothing_outlives_a_command_that_was_killed(tmp_path: Path) -> None:
    with local(tmp_path, grace_period="2s") as running:
        running.wait_for("REDIS_URL=")
        url = re.findall(r"REDIS_URL=(\S+)", running.text())[0]
        hold_jobs(url, 1)
        with redis.Redis.from_url(url) as client:
            wait_for_begun(client, 1)
            running.kill()
            wait_until(lambda: is_refused(url), "the embedded Redis to end")
        # With its Redis gone it would not come to an end by itself.
        wait_until(lambda: not any(map(is_alive, running.workers())), "the worker to end")


def test_a_redis_that_has_yet_to_answer_does_not_outlive_a_command_that_was_killed(tmp_path: Path) -> None:
    server, pid_file = tmp_path / "bin" / "redis-server", tmp_path / "redis.pid"
    server.parent.mkdir()
    # It tells of itself a moment after its start, by when the command has told whoever is to end it.
    server.write_text(f"#!/bin/sh\nsleep 0.4\necho $$ > {pid_file}\nexec sleep 60\n")
    server.chmod(0o755)
    with local(tmp_path, PATH=f"{server.parent}:{os.environ['PATH']}") as running:
        wait_until(lambda: pid_file.exists() and pid_file.read_text(), "the Redis to start")
        running.kill()

        wait_until(lambda: not is_alive(int(pid_file.read_text())), "the Redis to end")


def test_output_that_nobody_reads_does_not_hold_up_the_pools(redis_server: RedisServer, tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with suppress(BlockingIOError):
        while True:
            os.write(write_end, b"." * 4096)
    os.set_blocking(write_end, True)
    with local(tmp_path, "--redis", redis_server.url, stdout=write_end) as running:
        os.close(write_end)
        hold_jobs(redis_server.url, 1)
        wait_for_begun(redis_server.client, 1)
        jobs.let_go(redis_server.client, 1)
        running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: redis_server.client.llen(jobs.DONE) == 1, "the job to be done")
        with os.fdopen(read_end, "rb") as reader:
            assert reader.read().decode().endswith("Drained; no worker is left.\n")

        assert running.exit_status() == 0


def test_output_whose_reader_has_gone_ends_the_command_and_leaves_no_process(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    read_end, write_end = os.pipe()
    with local(tmp_path, "--redis", redis_server.url, stdout=write_end) as running:
        os.close(write_end)
        hold_jobs(redis_server.url, 1)
        wait_for_begun(redis_server.client, 1)
        os.close(read_end)
        jobs.let_go(redis_server.client, 1)

        assert running.exit_status() == 1
    assert not any(map(is_alive, running.workers()))


def is_refused(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            client.ping()
    except redis.ConnectionError:
        return True
    return False


def test_draws_on_a_terminal_whose_ctrl_c_reaches_no_worker(redis_server: RedisServer, tmp_path: Path) -> None:
    with local(
        tmp_path,
        "--redis",
        redis_server.url,
        around=[sys.executable, "-c", ON_A_TERMINAL],
        COLUMNS="100",
        LINES="30",
        TERM="xterm",
        NO_COLOR="1",
    ) as running:
        hold_jobs(redis_server.url, 1)
        wait_for_begun(redis_server.client, 1)
        running.wait_for("notifications-1  running")
        assert running.process.stdin is not None
        running.process.stdin.write(b"\x03")
        running.process.stdin.flush()
        running.wait_for("Draining 1 worker")
        jobs.let_go(redis_server.client, 1)
        status = running.exit_status()

    shown = running.text()
    assert status == 0
    assert redis_server.client.lrange(jobs.DONE, 0, -1) == ["0"]
    assert "Drained; no worker is left." in shown.rpartition("\x1b[?1049l")[2]  # stays when the live screen is gone
    assert re.findall(r"\x1b\[3[0-9]m", shown) == []


def test_says_which_redis_it_runs_and_shows_no_password(redis_server: RedisServer, tmp_path: Path) -> None:
    secret = redis_server.url.replace("redis://", "redis://default:geheim@")
    with local(tmp_path, "--redis", secret) as running:
        running.wait_for("Idle")
    assert "geheim" not in running.text()
    with local(tmp_path) as running:
        running.wait_for("Idle")
    assert re.match(r"Crewcall local · embedded (Redis|Valkey) \d+\.\d+\nREDIS_URL=redis://127", running.text())


def test_names_everything_that_is_wrong_in_every_file(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "other.yaml").write_text("kind: ConfigMap\n---\nkind: Secret\n")
    (tmp_path / "torn.yaml").write_text("kind: [")
    (tmp_path / "empty.yaml").touch()
    (tmp_path / "list.yaml").write_text("- kind: WorkerPool\n")
    files = ["bad.yaml", "other.yaml", "torn.yaml", "missing.yaml", "empty.yaml", "list.yaml"]

    done = subprocess.run(
        [CREWCALL, "local", *(word for file in files for word in ("-f", file))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "bad.yaml: workerpool shop/first: spec.maxReplicas: is 0; must be at least 1.",
        "bad.yaml: workerpool shop/first: spec.target: exactly one of queueLatency and backlogPerReplica must be set; "
        "both are. Remove one.",
        'bad.yaml: workerpool shop/second: spec.template: command: is "nope"; must be a program of this machine; '
        "it is not on the PATH.",
        "other.yaml: has no WorkerPool: only ConfigMap, Secret. Add one, as examples/workerpool.yaml does.",
        "torn.yaml: is not YAML: while parsing a flow node expected the node content, but found '<stream end>' "
        'in "<unicode string>", line 1, column 8: kind: [ ^.',
        "missing.yaml: cannot be read: No such file or directory.",
        "empty.yaml: has no WorkerPool: it is empty. Describe one in it, as examples/workerpool.yaml does.",
        "list.yaml: holds list where a WorkerPool's fields are expected.",
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://x", "http://x"),
        ("localhost:6379", "localhost:6379"),
        ("redis://me:geh@e/im@host:6379", "...@host:6379"),
        ("redis://me:geh?eim@host:6379", "..."),
        ("redis://host:65536/0", "redis://host:65536/0"),
        ("redis://host:0", "redis://host:0"),
        ("redis://host:99999?db=1", "redis://host:99999?..."),
    ],
)
@pytest.mark.parametrize("command", ["local", "record"])
def test_names_the_redis_url_that_it_refuses_and_shows_no_password(command: str, url: str, shown: str) -> None:
    done = CliRunner().invoke(main, [command, "-f", "pool.yaml", "--redis", url])

    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == (
        f'Error: Invalid value for --redis: "{shown}" is no URL of a Redis. Write redis://[user:password@]host[:port]'
        "[/db], the same with rediss:// for TLS, or unix:///path; percent-encode '/', '?', '#' and '@' in a password; "
        "a port is 1 to 65535."
    )


def test_says_which_options_a_redis_url_may_have() -> None:
    done = CliRunner().invoke(main, ["local", "-f", "pool.yaml", "--redis", "redis://host?password=geheim"])

    assert done.exit_code == 2
    assert '"redis://host?..." is no URL of a Redis.' in done.stderr
    assert done.stderr.endswith('Behind a "?" it takes db, ssl_cert_reqs and ssl_check_hostname.\n')


BAD = """
kind: WorkerPool
metadata: {name: first, namespace: shop}
spec:
  redis: {url: "redis://redis:6379/0"}
  queues: [{name: sms}]
  maxReplicas: 0
  target: {queueLatency: 30s, backlogPerReplica: 20}
  template: {spec: {containers: [{name: worker, image: none}]}}
---
kind: WorkerPool
metadata: {name: second, namespace: shop}
spec:
  redis: {url: "redis://redis:6379/0"}
  queues: [{name: sms}]
  maxReplicas: 1
  target: {backlogPerReplica: 20}
  template: {spec: {containers: [{name: worker, image: none, command: [nope]}]}}
"""


@pytest.mark.parametrize("program", [command.local, main.commands["operator"]])
@pytest.mark.parametrize("value", ["nan", "inf", "0", "-1", "61"])
def test_an_interval_that_is_none_is_refused_with_what_is_allowed(program: click.Command, value: str) -> None:
    done = CliRunner().invoke(program, ["--interval", value, *(["-f", "x"] if program is command.local else [])])

    assert done.exit_code == 2
    assert "is not in the range 0.05<=x<=60.0." in done.stderr


def test_says_what_to_install_where_only_the_operator_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)

    done = CliRunner().invoke(command.local, ["-f", "pool.yaml"])

    assert (done.exit_code, done.stderr) == (
        1,
        "Error: rich is not installed. Try: pip install 'crewcall[local]'\n",
    )
