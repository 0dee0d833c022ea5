"""`crewcall-worker` as people and Kubernetes use it: a process, its signals, its exit status and its words."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from tests.support import jobs
from tests.support.redis import RedisServer, emptied
from tests.support.waiting import DEADLINE, wait_until
from tests.support.workers import ROOT, WorkerProcess, started, worker

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire

CREWCALL_WORKER = str(Path(sys.executable).parent / "crewcall-worker")
NEW_CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc"]


def send(server: RedisServer, held: int) -> None:
    broker = RedisBroker(url=server.url)
    for job in range(held):
        broker.enqueue(jobs.hold.message(job))
    broker.close()


def queued(server: RedisServer) -> list[str]:
    """The ids in the queue, the next one first."""
    return [str(id_) for id_ in server.client.lrange("dramatiq:sms", 0, -1)]


def wait_for_begun(server: RedisServer, count: int) -> None:
    wait_until(lambda: server.client.llen(jobs.BEGUN) == count, f"{count} jobs to begin")


def wait_for_done(server: RedisServer, count: int) -> None:
    wait_until(lambda: server.client.llen(jobs.DONE) == count, f"{count} jobs to be done")


def wait_for_time(seconds: float) -> None:
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, "time to pass")


def test_sigterm_gives_every_running_job_the_whole_time_however_they_are_staggered(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    jobs_at_once, seconds = 16, {wire.ENV_SHUTDOWN_TIMEOUT: "20"}
    send(redis_server, held=jobs_at_once + 1)
    with worker("crewcall-worker", redis_server, tmp_path, threads=jobs_at_once, environment=seconds) as running:
        wait_for_begun(redis_server, jobs_at_once)
        running.terminate()
        running.wait_for("finishing the running jobs")
        # One each 0.2 s: 0.2 + 0.4 + 0.6 + ... comes to 27, while the last one ends after 3.2.
        for done in range(jobs_at_once):
            wait_for_time(0.2)
            jobs.let_go(redis_server.client, 1)
            wait_for_done(redis_server, done + 1)

        assert running.exit_status() == 0

    assert running.says("Drained: all jobs that were begun are finished")
    assert redis_server.client.hlen("dramatiq:sms.msgs") == redis_server.client.llen("dramatiq:sms") == 1


def test_time_running_out_is_told_and_every_job_is_back_in_its_queue_in_order(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    send(redis_server, held=3)
    sent = queued(redis_server)
    with worker(
        "crewcall-worker", redis_server, tmp_path, threads=2, environment={wire.ENV_SHUTDOWN_TIMEOUT: "0.1"}
    ) as running:
        wait_for_begun(redis_server, 2)
        running.terminate()

        assert running.exit_status() == 1

    assert running.says("2 jobs were cut off, 2 of them put back: another worker runs them again.")
    assert queued(redis_server) == sent


def test_tells_again_and_again_what_it_waits_for(redis_server: RedisServer, tmp_path: Path) -> None:
    send(redis_server, held=2)
    with started(
        [CREWCALL_WORKER, "run", "tests.support.stuck_jobs"],
        {wire.ENV_REDIS_URL: redis_server.url, "TEST_HUNG_AFTER": "60"},
        tmp_path / "worker.log",
    ) as running:
        wait_for_begun(redis_server, 2)
        running.terminate()
        running.wait_for("Waiting for 2 running jobs; the oldest: hold of sms for ")
        jobs.let_go(redis_server.client, 1)
        running.wait_for("Waiting for 1 running job; the oldest: hold of sms for ")
        assert running.process.poll() is None
        jobs.let_go(redis_server.client, 1)

        assert running.exit_status() == 0


def test_a_second_signal_ends_at_once(redis_server: RedisServer, tmp_path: Path) -> None:
    send(redis_server, held=1)
    with worker("crewcall-worker", redis_server, tmp_path) as running:
        wait_for_begun(redis_server, 1)
        running.terminate()
        running.wait_for("finishing the running jobs")
        os.kill(running.process.pid, signal.SIGINT)

        assert running.exit_status() == 1

    assert running.says("Second SIGINT: ending at once; the jobs that run are put back, to be run again")
    assert redis_server.client.llen("dramatiq:sms") == 1


def test_sigterm_while_idle_ends_with_status_0(redis_server: RedisServer, tmp_path: Path) -> None:
    with worker("crewcall-worker", redis_server, tmp_path) as running:
        running.wait_for("Working on sms of Redis 127.0.0.1")
        running.terminate()

        assert running.exit_status() == 0


def own_broker(server: RedisServer, tmp_path: Path, **own: str) -> AbstractContextManager[WorkerProcess]:
    """A worker whose module has a broker of its own."""
    return started(
        [CREWCALL_WORKER, "run", "tests.support.own_broker_jobs"],
        {wire.ENV_REDIS_URL: server.url, **own},
        tmp_path / "worker.log",
    )


def test_a_broker_of_the_projects_own_that_works_elsewhere_is_told_of(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    there = redis_server.url.removeprefix("redis://")
    url = f"redis://:s3cret@{there.removesuffix('/0')}/1"
    redis_server.client.config_set("requirepass", "s3cret")
    try:
        lent = RedisServer(redis_server.url.replace("//", "//:s3cret@"), redis_server.client)
        with own_broker(lent, tmp_path, TEST_OWN_URL=url, TEST_OWN_NAMESPACE="shop") as running:
            running.wait_for("Working on sms of Redis ")
    finally:
        redis_server.client.config_set("requirepass", "")

    elsewhere = f"{there.removesuffix('/0')}/1 (namespace shop)"
    assert running.says(f"Working on sms of Redis {elsewhere}, 8 jobs at once")
    assert running.says(
        f"The broker of tests.support.own_broker_jobs works on Redis {elsewhere}, but REDIS_URL and "
        f"CREWCALL_REDIS_NAMESPACE say {there} (namespace dramatiq): there the pool counts its jobs, and this worker "
        "runs none of them."
    )
    assert not running.says("s3cret")


def test_a_broker_of_the_projects_own_that_has_another_name_for_the_host_is_nothing_to_tell_of(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    url = redis_server.url.replace("127.0.0.1", "localhost")
    with own_broker(redis_server, tmp_path, TEST_OWN_URL=url) as running:
        running.wait_for(f"Working on sms of Redis {url.removeprefix('redis://')} (namespace dramatiq), 8 jobs at once")

    assert not running.says("WARNING")


def test_a_signal_that_interrupts_nothing_is_heard_all_the_same(redis_server: RedisServer, tmp_path: Path) -> None:
    """One that comes just before the worker begins to wait; or, as here, in another of its threads."""
    broker = RedisBroker(url=redis_server.url)
    broker.enqueue(Message(jobs.QUEUE, "interrupt", (), {}, {}))
    broker.close()
    with started(
        [CREWCALL_WORKER, "run", "tests.support.stuck_jobs"],
        {wire.ENV_REDIS_URL: redis_server.url, "TEST_HUNG_AFTER": "60"},
        tmp_path / "worker.log",
    ) as running:
        assert running.exit_status() == 0

    assert running.says("SIGTERM: finishing the running jobs")


def test_drain_wait_comes_back_when_the_worker_has_finished(redis_server: RedisServer, tmp_path: Path) -> None:
    send(redis_server, held=1)
    pid_file = tmp_path / "worker.pid"
    with started(
        [CREWCALL_WORKER, "run", "--pid-file", str(pid_file), "tests.support.jobs"],
        {wire.ENV_REDIS_URL: redis_server.url},
        tmp_path / "worker.log",
    ) as running:
        wait_for_begun(redis_server, 1)
        with started([CREWCALL_WORKER, "drain", "--wait", "--pid-file", str(pid_file)], {}, tmp_path / "hook") as hook:
            running.wait_for("SIGTERM: finishing the running jobs")
            assert hook.process.poll() is None

            jobs.let_go(redis_server.client, 1)

            assert hook.exit_status() == 0
            assert running.exit_status() == 0


def test_as_process_1_of_a_container_it_gets_the_signals_and_drains_by_the_hook(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    if shutil.which("unshare") is None or subprocess.run([*NEW_CONTAINER, "true"], check=False).returncode:
        pytest.skip("processes of its own, as a container has them, take unshare (util-linux) and the right to use it")
    send(redis_server, held=1)
    environment = {wire.ENV_REDIS_URL: redis_server.url}
    run_it = [*NEW_CONTAINER, CREWCALL_WORKER, "run", "tests.support.jobs"]
    with started(run_it, environment, tmp_path / "worker.log") as container:
        wait_for_begun(redis_server, 1)
        process_1 = Path(f"/proc/{container.process.pid}/task/{container.process.pid}/children").read_text().strip()
        enter = ["nsenter", "--target", process_1, "--pid", "--mount"]
        with started([*enter, CREWCALL_WORKER, "drain", "--wait"], {}, tmp_path / "hook.log") as hook:
            container.wait_for("SIGTERM: finishing the running jobs")
            assert hook.process.poll() is None

            jobs.let_go(redis_server.client, 1)

            assert container.exit_status() == 0
            # The kernel ends whatever else runs in a container with its process 1.
            assert hook.exit_status() in {0, -signal.SIGKILL}


def test_drain_gives_up_waiting_but_not_the_worker(redis_server: RedisServer, tmp_path: Path) -> None:
    send(redis_server, held=1)
    with worker("crewcall-worker", redis_server, tmp_path) as running:
        wait_for_begun(redis_server, 1)

        hook = drain("--wait", "--timeout", "0.1", "--pid", str(running.process.pid))

        assert (hook.returncode, hook.stderr) == (
            1,
            f"crewcall-worker: Worker {running.process.pid} is still running its jobs. "
            "It goes on, and ends when they are finished.\n",
        )
        jobs.let_go(redis_server.client, 1)
        assert running.exit_status() == 0


def test_drain_leaves_alone_what_is_no_worker(tmp_path: Path) -> None:
    with started(["sleep", "60"], {}, tmp_path / "log") as other:
        hook = drain("--wait", "--pid", str(other.process.pid))

        assert hook.returncode == 1
        assert hook.stderr.startswith(
            f"crewcall-worker: Process {other.process.pid} is 'sleep', not a `crewcall-worker run`, and was left alone."
        )
        assert other.process.poll() is None


def test_drain_says_that_there_is_no_such_process(tmp_path: Path) -> None:
    with started(["true"], {}, tmp_path / "log") as gone:
        gone.exit_status()

        hook = drain("--pid", str(gone.process.pid))

    assert hook.returncode == 1
    assert f"Process {gone.process.pid} is not there" in hook.stderr


@pytest.mark.parametrize(("timeout", "said"), [("nan", "nan"), ("-1", "-1.0")])
def test_drain_refuses_a_time_that_is_none(timeout: str, said: str) -> None:
    hook = drain("--wait", "--timeout", timeout)

    assert hook.returncode == 2
    assert hook.stderr.endswith(f"Error: Invalid value for '--timeout': {said} is not in the range x>=0.\n")


BY_SIGWAIT = """
import os, signal, subprocess, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
child = subprocess.Popen(sys.argv[1:], preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM}))
child.send_signal(signal.sigwait({signal.SIGTERM}))
sys.exit(child.wait())
"""


@pytest.mark.parametrize(
    "init", [[sys.executable, "-c", BY_SIGWAIT], ["catatonit", "--"]], ids=["sigwait", "catatonit"]
)
def test_drain_goes_by_an_init_that_waits_for_signals_instead_of_handling_them(
    redis_server: RedisServer, tmp_path: Path, init: list[str]
) -> None:
    if shutil.which(init[0]) is None:
        pytest.skip(f"{init[0]} is not installed")
    send(redis_server, held=1)
    arguments = [*init, CREWCALL_WORKER, "run", "tests.support.jobs"]
    with started(arguments, {wire.ENV_REDIS_URL: redis_server.url}, tmp_path / "worker.log") as running:
        wait_for_begun(redis_server, 1)
        jobs.let_go(redis_server.client, 1)

        hook = drain("--wait", "--timeout", "15", "--pid", str(running.process.pid))

        assert (hook.returncode, hook.stderr) == (0, "")
        assert running.says("Drained: all jobs that were begun are finished")


def drain(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CREWCALL_WORKER, "drain", *options], capture_output=True, text=True, check=False, timeout=DEADLINE
    )


def test_waits_for_redis_and_says_so(tmp_path: Path) -> None:
    with EmbeddedRedis(keeps_data=True) as server, emptied(server) as lent:
        send(lent, held=1)
        server.stop()
        with worker("crewcall-worker", lent, tmp_path) as running:
            running.wait_for(f"Waiting for Redis {server.url.removeprefix('redis://')}: ")
            server.start()
            wait_for_begun(lent, 1)
            assert running.says("answers")


def test_sigterm_while_waiting_for_redis_ends_with_status_0(tmp_path: Path) -> None:
    with EmbeddedRedis() as server, emptied(server) as lent:
        server.stop()
        with worker("crewcall-worker", lent, tmp_path) as running:
            running.wait_for("Waiting for Redis")
            running.terminate()

            assert running.exit_status() == 0


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "REDIS_URL is not set; set it to where the queues live, such as redis://redis:6379/0"),
        ({"REDIS_URL": "http://:s3cret@x"}, "REDIS_URL is '(not shown)'; it cannot be understood; set it to where"),
        ({"REDIS_URL": "redis://u:s3/cret@x"}, "REDIS_URL is '(not shown)'; it cannot be understood; set it to where"),
        ({"CREWCALL_THREADS": "many"}, "CREWCALL_THREADS is 'many'; write a whole number from 1 to 1000"),
        ({"CREWCALL_QUEUES": "sms,,email"}, "CREWCALL_QUEUES is 'sms,,email'; write names separated by commas"),
        ({"CREWCALL_SHUTDOWN_TIMEOUT": "10m"}, "CREWCALL_SHUTDOWN_TIMEOUT is '10m'; write seconds, such as 570"),
        (
            {"CREWCALL_QUEUES": "emial"},
            "No actor in tests.support.jobs works on emial; their queues are sms. "
            "Correct the pool's queues (CREWCALL_QUEUES), or name the module whose actors work on them.",
        ),
    ],
)
def test_a_bad_setting_ends_with_status_2_and_one_line(environment: dict[str, str], words: str) -> None:
    known = {"REDIS_URL": "redis://127.0.0.1:1/0"} if environment else {}

    ended = run("tests.support.jobs", {**known, **environment})

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"crewcall-worker: {words}")
    assert ended.stderr.count("\n") == 1
    assert "cret" not in ended.stderr


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (
            "shop.jobs",
            "There is no job module 'shop.jobs': No module named 'shop'. Name it as in Python's import; see --path.",
        ),
        ("", "'' is no module's name. Name it as in Python's import, such as shop.jobs."),
        (".jobs", "'.jobs' is no module's name. Name it as in Python's import, such as shop.jobs."),
        ("os", "There is no actor in os. Name a module with a @dramatiq.actor, as shop.jobs."),
    ],
)
def test_a_module_without_jobs_ends_with_status_2_and_one_line(module: str, words: str) -> None:
    ended = run(module, {"REDIS_URL": "redis://127.0.0.1:1/0"})

    assert (ended.returncode, ended.stderr) == (2, f"crewcall-worker: {words}\n")


def test_a_pid_file_that_cannot_be_written_ends_with_status_2_and_one_line(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "worker.pid"

    ended = run("tests.support.jobs", {"REDIS_URL": "redis://127.0.0.1:1/0"}, "--pid-file", str(nowhere))

    assert (ended.returncode, ended.stderr) == (
        2,
        f"crewcall-worker: --pid-file is '{nowhere}'; it cannot be written: No such file or directory. "
        "Name a file in a directory that is there\n",
    )


@pytest.mark.parametrize("missing", ["dramatiq", "prometheus_client"])
def test_where_only_the_operator_is_installed_there_is_help_and_a_hint(missing: str) -> None:
    helped, hinted = (without(missing, *arguments) for arguments in (["run", "--help"], ["run", "tests.support.jobs"]))

    assert (helped.returncode, helped.stderr) == (0, "")
    assert "Work on a pool's queues until told to stop" in helped.stdout
    assert (hinted.returncode, hinted.stderr) == (
        2,
        f"crewcall-worker: {missing} is not installed. Try: pip install 'crewcall[worker]'\n",
    )


def without(package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`crewcall-worker` on a machine that does not have the package."""
    program = f"import sys; sys.modules[{package!r}] = None; from crewcall_worker.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, timeout=DEADLINE
    )


def test_a_refused_password_ends_with_status_1(redis_server: RedisServer) -> None:
    ended = run("tests.support.jobs", {"REDIS_URL": redis_server.url.replace("//", "//nobody:s3cret@")})

    assert ended.returncode == 1
    assert "refuses the user or the password" in ended.stderr
    assert "s3cret" not in ended.stderr


def run(module: str, environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CREWCALL_WORKER, "run", *options, module],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
