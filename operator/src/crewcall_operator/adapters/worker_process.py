"""One worker as a process: started, watched, restarted when it dies unasked, drained on request.

What a pod is to a Deployment. Times are seconds on the caller's clock, and nothing here waits: `tend` is called
again and again, looks, and does what is due. Standard library and signals only; which processes there shall be is
for `processes` to say.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from crewcall_operator.adapters.launch import Launch
from crewcall_operator.adapters.lifeline import Lifeline

SETTLED_AFTER = 1.0
"""A process tells nobody when it is past its start; one that has lived this long got past its imports."""

LONGEST_BACK_OFF = 30.0
RAN_WELL_AFTER = 60.0
"""Having run this long, a worker that dies is not in a crash loop: its back-off starts anew."""


class ProcessState(StrEnum):
    """What a worker's process is at, in the words of `kubectl get pods` where it has one."""

    STARTING = "starting"
    RUNNING = "running"
    BACK_OFF = "CrashLoopBackOff"
    DRAINING = "draining"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker as it is shown. `for_seconds` is how long it has been in its state; `note` is for people."""

    name: str
    state: ProcessState
    pid: int | None
    for_seconds: float
    restarts: int
    log: Path
    note: str = ""


class WorkerProcess:
    """One replica. `tell` gets a sentence whenever something happens that nobody asked for."""

    def __init__(self, name: str, launch: Launch, log: Path, lifeline: Lifeline, tell: Callable[[str], None]) -> None:
        self.name = name
        self._launch = launch
        self._log = log
        self._lifeline = lifeline
        self._tell = tell
        self._process: subprocess.Popen[bytes] | None = None
        self._since = 0.0
        self._restarts = 0
        self._back_off = 0.0
        self._note = ""
        self._kill_at: float | None = None

    @property
    def since(self) -> float:
        """When it began what it is at."""
        return self._since

    def start(self, now: float) -> None:
        """Run the program. Raises `OSError` where it cannot be run."""
        self._since, self._note = now, ""
        with self._log.open("ab") as output:
            # A session of its own: the terminal's Ctrl-C is for `crewcall local`, which then drains its workers.
            self._process = subprocess.Popen(
                self._launch.arguments,
                env=self._launch.environment_of(self.name),
                cwd=self._launch.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._lifeline.hold(self._process.pid, self._launch.grace_period)

    def drain(self, now: float) -> None:
        """Ask it to finish; it is killed once its grace period is over. One that backs off simply stays away."""
        if self._kill_at is not None:
            return
        self._kill_at = now + self._launch.grace_period
        self._since, self._note = now, ""
        if self._process is not None:
            self._process.terminate()

    def kill(self, now: float) -> None:
        """End it at once, whatever it does."""
        self._kill_at, self._note = now, "killed"
        self.tend(now)

    def tend(self, now: float) -> None:
        """Do what is due: notice an end, start again after the back-off, kill what outlived its grace period."""
        if self._process is None:
            self._start_again(now)
        elif self._process.poll() is not None:
            self._ended(self._process, now)
        elif self._kill_at is not None and now >= self._kill_at:
            if not self._note:
                self._note = "killed: its grace period is over"
                self._tell(f"{self.name} was {self._note}")
            self._signal_group(self._process.pid, signal.SIGKILL)

    def state(self, now: float) -> ProcessState:
        if self._process is None:
            return ProcessState.GONE if self._kill_at is not None else ProcessState.BACK_OFF
        if self._kill_at is not None:
            return ProcessState.DRAINING
        return ProcessState.RUNNING if now - self._since >= SETTLED_AFTER else ProcessState.STARTING

    def status(self, now: float) -> WorkerStatus:
        pid = None if self._process is None else self._process.pid
        return WorkerStatus(self.name, self.state(now), pid, now - self._since, self._restarts, self._log, self._note)

    def _start_again(self, now: float) -> None:
        if self._kill_at is None and now - self._since >= self._back_off:
            self._restarts += 1
            try:
                self.start(now)
            except OSError as error:
                self._note = f"cannot be started: {error.strerror}; {self._wait_longer(ran=0.0)}"

    def _ended(self, process: subprocess.Popen[bytes], now: float) -> None:
        self._process = None
        # What it may have started itself goes with it, as a pod's processes do.
        self._signal_group(process.pid, signal.SIGKILL)
        self._lifeline.let_go(process.pid)
        if self._kill_at is None:
            self._note = f"{_how(process.returncode)}; {self._wait_longer(ran=now - self._since)}"
            self._since = now
            self._tell(f"{self.name} {self._note}; see {self._log}")

    def _wait_longer(self, ran: float) -> str:
        again = 2 * self._back_off if ran < RAN_WELL_AFTER else 0.0
        self._back_off = min(max(1.0, again), LONGEST_BACK_OFF)
        return f"starts again in {self._back_off:.0f} s"

    @staticmethod
    def _signal_group(group: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # gone; macOS says so with the latter
            os.killpg(group, number)


def _how(status: int) -> str:
    """How a process ended, in words: an exit status, or less than zero a signal's number."""
    if status >= 0:
        return f"ended with status {status}"
    names = {number.value: number.name for number in signal.Signals}
    return f"was killed by {names.get(-status, f'signal {-status}')}"
