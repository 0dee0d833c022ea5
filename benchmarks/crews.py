"""Workers for benchmarks, as processes: Crewcall's, or plain Dramatiq's with the same jobs, threads and queues."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crewcall_worker import wire

ROOT = Path(__file__).parents[1]
WORKERS = "bench:workers"
"""Hash: pod -> broker id of a plain worker; Crewcall's have records."""
PLAIN, CREWCALL = "dramatiq", "crewcall-worker"


@dataclass(frozen=True, slots=True)
class Crew:
    """One worker process, in a process group of its own."""

    pod: str
    process: subprocess.Popen[bytes]

    def terminate(self) -> None:
        self.process.terminate()

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        """End it and its children at once, as a node's loss would."""
        if not self.has_ended():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start(
    program: str,
    url: str,
    pod: str,
    threads: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    module: str = "benchmarks.jobs",
) -> Crew:
    """Start a worker; it logs to `folder`. Crewcall's runs the jobs of `module`."""
    executable = str(Path(sys.executable).parent / program)
    arguments = {
        PLAIN: ["benchmarks.plain_jobs", "--processes", "1", "--threads", str(threads)],
        CREWCALL: ["run", module],
    }[program]
    variables = {
        "PATH": os.environ["PATH"],
        wire.ENV_REDIS_URL: url,
        wire.ENV_POD: pod,
        wire.ENV_POOL: "bench",
        wire.ENV_THREADS: str(threads),
        **(environment or {}),
    }
    with (folder / f"{pod}.log").open("wb") as log:
        process = subprocess.Popen(
            [executable, *arguments], env=variables, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
    return Crew(pod, process)
