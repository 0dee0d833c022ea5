"""Processes for pods: real processes, the time of back-offs and grace periods handed in."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.support.pools import pool
from tests.support.processes import is_alive
from tests.support.waiting import DEADLINE, wait_until

from crewcall_operator.adapters.launch import launch_of
from crewcall_operator.adapters.lifeline import Lifeline
from crewcall_operator.adapters.processes import ProcessScaler
from crewcall_operator.adapters.worker_process import ProcessState, WorkerStatus
from crewcall_operator.api.pool import Pool
from crewcall_operator.core.observation import Fleet, Pod
from crewcall_operator.errors import InvalidSpec, TargetUnavailable

READY_AFTER = 1.0
WILLING = "import time; print('here', flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WILLING}"
FAILING = "raise SystemExit(3)"


def running(program: str, grace_period: float = 30.0, **container: object) -> Pool:
    """A pool whose workers run this Python program."""
    worker = {"name": "worker", "image": "none", "command": ["python", "-c", program], **container}
    template = {"spec": {"containers": [worker]}}
    return replace(pool("notifications"), template=template, deployment_ref=None, grace_period=grace_period)


@dataclass
class Yard:
    """A scaler with a clock of the test's, and what it told."""

    logs: Path
    lifeline: Lifeline
    now: float = 100.0
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scaler = ProcessScaler(
            {"PATH": os.environ["PATH"]},
            self.logs,
            self.logs,
            self.lifeline,
            lambda _, words: self.told.append(words),
            lambda: self.now,
        )

    async def until(self, pool: Pool, condition: Callable[[], object], what: str) -> Fleet:
        """Tick, with the clock standing still, until `condition` holds."""
        deadline = time.monotonic() + DEADLINE
        while True:
            fleet = await self.scaler.ensure(pool)
            if condition():
                return fleet
            assert time.monotonic() < deadline, f"still waiting: {what}"
            await asyncio.sleep(0.01)

    def states(self, pool: Pool) -> list[tuple[str, ProcessState]]:
        return [(worker.name, worker.state) for worker in self.scaler.workers(pool.key)]

    def pids(self, pool: Pool) -> list[int]:
        return [worker.pid for worker in self.scaler.workers(pool.key) if worker.pid is not None]

    def output(self, worker: str) -> str:
        return (self.logs / f"shop.{worker}.log").read_text()

    def wait_for_output(self, worker: str, words: str = "here") -> None:
        wait_until(lambda: words in self.output(worker), f"{worker} to write {words!r}")


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    with Lifeline() as lifeline:
        yard = Yard(tmp_path, lifeline)
        yield yard
        closing = asyncio.create_task(yard.scaler.close())
        await asyncio.sleep(0)
        yard.scaler.kill()
        await closing


async def test_runs_as_many_as_asked_for_and_calls_them_ready_once_they_are_past_their_start(yard: Yard) -> None:
    willing = running(WILLING)

    await yard.scaler.scale(willing, 2)
    at_once = await yard.scaler.ensure(willing)
    yard.now += READY_AFTER
    later = await yard.scaler.ensure(willing)

    assert at_once == Fleet(2, 0, tuple(Pod(f"notifications-{n}", is_ready=False, created=100.0) for n in (1, 2)))
    assert later == Fleet(2, 2, tuple(Pod(f"notifications-{n}", is_ready=True, created=100.0) for n in (1, 2)))
    assert all(is_alive(pid) for pid in yard.pids(willing))


async def test_drains_the_newest_and_forgets_them_once_they_are_gone(yard: Yard) -> None:
    willing = running(WILLING)
    await yard.scaler.scale(willing, 3)
    oldest, *newer = yard.pids(willing)

    await yard.scaler.scale(willing, 1)
    draining = yard.states(willing)
    fleet = await yard.until(willing, lambda: len(yard.states(willing)) == 1, "two workers to go")

    assert draining == [
        ("notifications-1", ProcessState.STARTING),
        ("notifications-2", ProcessState.DRAINING),
        ("notifications-3", ProcessState.DRAINING),
    ]
    stayed = (Pod("notifications-1", is_ready=False, created=100.0),)
    assert fleet == Fleet(1, 0, stayed, gone=frozenset({"notifications-2", "notifications-3"}))
    assert [is_alive(pid) for pid in (oldest, *newer)] == [True, False, False]


async def test_starts_a_killed_worker_again_and_says_so(yard: Yard) -> None:
    willing = running(WILLING)
    await yard.scaler.scale(willing, 1)
    (pid,) = yard.pids(willing)

    os.kill(pid, signal.SIGKILL)
    fleet = await yard.until(willing, lambda: yard.told, "the death to be noticed")
    dead = yard.states(willing)
    yard.now += 1.0
    await yard.scaler.ensure(willing)

    log = yard.logs / "shop.notifications-1.log"
    down = (Pod("notifications-1", is_ready=False, created=100.0),)
    assert fleet == Fleet(1, 0, down, gone=frozenset({"notifications-1"}))
    assert yard.told == [f"notifications-1 was killed by SIGKILL; starts again in 1 s; see {log}"]
    assert dead == [("notifications-1", ProcessState.BACK_OFF)]
    (again,) = yard.scaler.workers(willing.key)
    assert again.pid not in {pid, None}
    assert again == WorkerStatus("notifications-1", ProcessState.STARTING, again.pid, 0.0, 1, log)


async def test_waits_longer_each_time_for_one_that_keeps_failing(yard: Yard) -> None:
    failing = running(FAILING)
    await yard.scaler.scale(failing, 1)

    waited: list[ProcessState] = []
    for seconds in (1, 2, 4, 8, 16, 30, 30):
        await yard.until(failing, lambda: len(yard.told) == len(waited) + 1, "the worker to fail")
        yard.now += seconds - 0.1
        await yard.scaler.ensure(failing)
        waited.append(yard.states(failing)[0][1])
        yard.now += 0.2
        await yard.scaler.ensure(failing)

    waits = [words.split(";")[0:2] for words in yard.told]
    assert waits == [
        ["notifications-1 ended with status 3", f" starts again in {seconds} s"] for seconds in (1, 2, 4, 8, 16, 30, 30)
    ]
    assert waited == [ProcessState.BACK_OFF] * 7


async def test_is_patient_again_with_one_that_had_run_well(yard: Yard) -> None:
    willing = running(WILLING)
    await yard.scaler.scale(willing, 1)
    for ran in (10.0, 10.0, 60.0):
        yard.now += ran
        os.kill(yard.pids(willing)[0], signal.SIGKILL)
        await yard.until(willing, lambda: not yard.pids(willing), "the death to be noticed")
        yard.now += 4.0
        await yard.scaler.ensure(willing)

    assert [words.split("; ")[1] for words in yard.told] == [f"starts again in {seconds} s" for seconds in (1, 2, 1)]


async def test_one_that_backs_off_is_not_started_again_once_it_is_not_wanted(yard: Yard) -> None:
    failing = running(FAILING)
    await yard.scaler.scale(failing, 1)
    await yard.until(failing, lambda: yard.told, "the worker to fail")

    await yard.scaler.scale(failing, 0)
    yard.now += 100.0

    assert await yard.scaler.ensure(failing) == Fleet(0, 0, (), gone=frozenset({"notifications-1"}))
    assert yard.states(failing) == []


async def test_kills_one_that_outlives_its_grace_period(yard: Yard) -> None:
    deaf = running(DEAF, grace_period=30.0)
    await yard.scaler.scale(deaf, 1)
    (pid,) = yard.pids(deaf)
    yard.wait_for_output("notifications-1")

    await yard.scaler.scale(deaf, 0)
    yard.now += 29.9
    await yard.scaler.ensure(deaf)
    still = yard.states(deaf)
    yard.now += 0.1
    await yard.until(deaf, lambda: not yard.states(deaf), "the worker to go")

    assert still == [("notifications-1", ProcessState.DRAINING)]
    assert yard.told == ["notifications-1 was killed: its grace period is over"]
    assert not is_alive(pid)


async def test_waits_for_every_worker_when_it_closes(yard: Yard) -> None:
    slow = running(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), print('finished', flush=True), exit()))\n" + WILLING
    )
    await yard.scaler.scale(slow, 2)
    for name in ("notifications-1", "notifications-2"):
        yard.wait_for_output(name)

    await yard.scaler.close()

    assert yard.scaler.count() == 0
    assert [yard.output(f"notifications-{number}") for number in (1, 2)] == ["here\nfinished\n"] * 2


async def test_kills_at_once_when_told_so_while_it_closes(yard: Yard) -> None:
    deaf = running(DEAF, grace_period=600.0)
    await yard.scaler.scale(deaf, 2)
    pids = yard.pids(deaf)
    for name in ("notifications-1", "notifications-2"):
        yard.wait_for_output(name)

    closing = asyncio.create_task(yard.scaler.close())
    await asyncio.sleep(0)
    yard.scaler.kill()
    await asyncio.wait_for(closing, DEADLINE)

    assert [is_alive(pid) for pid in pids] == [False, False]
    assert yard.told == []


async def test_releasing_a_pool_drains_its_workers(yard: Yard) -> None:
    willing = running(WILLING)
    await yard.scaler.scale(willing, 2)

    await yard.scaler.release(willing)
    await yard.scaler.close()

    assert yard.scaler.count() == 0


async def test_takes_what_a_worker_has_started_along_with_it(yard: Yard) -> None:
    parent = running(
        "import subprocess, sys, time\n"
        "print('child', subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True)\n"
        "time.sleep(60)"
    )
    await yard.scaler.scale(parent, 1)
    yard.wait_for_output("notifications-1", "\n")
    child = int(yard.output("notifications-1").split()[1])

    await yard.scaler.close()

    wait_until(lambda: not is_alive(child), "the worker's child to go")


async def test_gives_a_worker_its_pools_environment_over_the_templates_and_its_own_name(yard: Yard) -> None:
    asking = running(
        "import os\nprint(*map(os.environ.get, ('REDIS_URL', 'CREWCALL_POD', 'CREWCALL_QUEUES', 'GREETING')))",
        env=[
            {"name": "REDIS_URL", "value": "redis://of-the-cluster/0"},
            {"name": "GREETING", "value": "hello $(CREWCALL_POOL) $(UNKNOWN) $$(CREWCALL_POOL)"},
        ],
    )

    await yard.scaler.scale(asking, 1)

    yard.wait_for_output("notifications-1", "\n")
    assert yard.output("notifications-1") == (
        "redis://redis:6379/0 notifications-1 sms hello notifications $(UNKNOWN) $(CREWCALL_POOL)\n"
    )


def test_without_a_command_a_worker_is_the_images_entry_point_with_the_templates_arguments(tmp_path: Path) -> None:
    template = {"spec": {"containers": [{"name": "worker", "image": "none", "args": ["crewcall_jobs.demo"]}]}}

    launch = launch_of(replace(pool(), template=template), os.environ, tmp_path)

    assert launch.arguments == ("crewcall-worker", "run", "crewcall_jobs.demo")


async def test_a_relative_program_is_looked_for_in_the_working_directory(yard: Yard, tmp_path: Path) -> None:
    program = tmp_path / "app" / "bin" / "work"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{WILLING}"\n')
    program.chmod(0o755)
    theirs = running("", command=["bin/work"], workingDir="app")

    await yard.scaler.scale(theirs, 1)
    yard.wait_for_output("notifications-1")

    with pytest.raises(InvalidSpec, match=f'"./nope"; must be a program of this machine; {tmp_path}/app has none'):
        launch_of(running("", command=["./nope"], workingDir="app"), os.environ, tmp_path)


def test_says_all_that_a_machine_without_a_cluster_cannot_run(tmp_path: Path) -> None:
    secret = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
    impossible = running("", command=["no-such-program"], env=[secret])

    with pytest.raises(InvalidSpec) as raised:
        launch_of(impossible, os.environ, tmp_path)
    with pytest.raises(InvalidSpec) as raised_too:
        launch_of(pool("theirs"), os.environ, tmp_path)

    assert [str(problem) for problem in (*raised.value.problems, *raised_too.value.problems)] == [
        "spec.template: env TOKEN: valueFrom: cannot be read without a cluster. "
        "Set TOKEN in the environment of this command",
        'spec.template: command: is "no-such-program"; must be a program of this machine; it is not on the PATH',
        'spec.deploymentRef: is "theirs"; there is no cluster that could have it. '
        "Give spec.template, whose container is run as a process",
    ]


async def test_a_pool_that_cannot_run_here_is_an_unavailable_target(yard: Yard) -> None:
    with pytest.raises(TargetUnavailable, match="no-such-program"):
        await yard.scaler.ensure(running("", command=["no-such-program"]))


def test_workers_end_when_their_owner_is_killed_the_deaf_ones_after_their_grace_period() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, WILLING, DEAF], stdout=subprocess.PIPE, start_new_session=True
    ) as owner:
        assert owner.stdout is not None
        pids = [int(owner.stdout.readline()) for _ in range(3)]
        before = [is_alive(pid) for pid in pids]

        owner.kill()

        wait_until(lambda: not any(map(is_alive, pids)), "the keeper and both workers to end")
    assert before == [True, True, True]


OWNER = """
import subprocess, sys, time
from crewcall_operator.adapters.lifeline import Lifeline
lifeline = Lifeline()
print(lifeline.pid, flush=True)
for program in sys.argv[1:]:
    worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
    worker.stdout.readline()
    lifeline.hold(worker.pid, 0.5)
    print(worker.pid, flush=True)
time.sleep(60)
"""
