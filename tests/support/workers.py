"""Real Dramatiq workers as processes of their own, under either program that a pool may run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import jobs
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from crewcall_worker import wire

PROGRAMS = ("crewcall-worker", "dramatiq")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A worker of the test's own, with all that it logs."""

    process: subprocess.Popen[bytes]
    log: Path

    def says(self, words: str) -> bool:
        return words in self.log.read_text()

    def wait_for(self, words: str) -> None:
        wait_until(lambda: self.says(words), f"the worker to say {words!r}")

    def terminate(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        """End it and what it has started as a node's loss would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def exit_status(self) -> int:
        """Its exit status, once it has ended by itself."""
        wait_until(lambda: self.process.poll() is not None, "the worker to end")
        return self.process.returncode


def command(program: str, threads: int) -> list[str]:
    """The command line by which `program` works on the tests' jobs, as many at once as it has threads."""
    executable = str(Path(sys.executable).parent / program)
    if program == "dramatiq":
        return [executable, "tests.support.plain_jobs", "--processes", "1", "--threads", str(threads)]
    return [executable, "run", "tests.support.jobs"]


@contextmanager
def worker(
    program: str, server: RedisServer, tmp_path: Path, threads: int = 2, environment: Mapping[str, str] | None = None
) -> Iterator[WorkerProcess]:
    """A worker on the tests' queue; whatever becomes of it, it is gone when the test leaves."""
    variables = {
        wire.ENV_REDIS_URL: server.url,
        wire.ENV_QUEUES: jobs.QUEUE,
        wire.ENV_THREADS: str(threads),
        wire.ENV_SHUTDOWN_TIMEOUT: "300",
        **(environment or {}),
    }
    with started(command(program, threads), variables, tmp_path / f"{program}.log") as running:
        yield running


@contextmanager
def started(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[WorkerProcess]:
    """A program that runs in this environment from the project's root, in a session of its own."""
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments,
            env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **measured, **environment},
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    running = WorkerProcess(process, log)
    try:
        yield running
    finally:
        try:
            running.kill()
        except ProcessLookupError:
            process.wait()
