"""`make test-stalled`: the tests on a machine that stands still now and then, as one does that others use as well.

All that the tests have started is stopped for up to two seconds, every few seconds, and goes on as if nothing were:
only the clock has moved. A test that fails here, and not otherwise, has a deadline that is too short, or takes for
granted who comes first.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

MARK = "CREWCALL_TESTS_STALLED"

#: Seconds between two stalls, and of one.
BETWEEN, LASTING = (2.0, 6.0), (0.5, 1.9)


def main() -> int:
    """Run the command in the arguments; its exit status."""
    mark = f"{MARK}={os.getpid()}"
    tests = subprocess.Popen(sys.argv[1:], env={**os.environ, MARK: str(os.getpid())})
    stalls = 0
    while tests.poll() is None:
        time.sleep(random.uniform(*BETWEEN))  # noqa: S311  no secret
        running = [pid for pid in processes(mark) if not is_stopped(pid)]
        send(signal.SIGSTOP, running)
        try:
            time.sleep(random.uniform(*LASTING))  # noqa: S311  no secret
        finally:
            send(signal.SIGCONT, running)
        time.sleep(0.1)
        send(signal.SIGCONT, filter(stops_itself, running))
        stalls += 1
    print(f"The machine stood still {stalls} times.")
    return tests.returncode


def processes(mark: str) -> list[int]:
    """Every process with this in its environment, and what those have started."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            parents[int(folder.name)] = int(stat(folder)[1])
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def is_stopped(pid: int) -> bool:
    """Whether a test has stopped it, who goes on when the test says so; or it has ended."""
    try:
        return stat(Path(f"/proc/{pid}"))[0] in "TtZ"
    except OSError:
        return True


def stops_itself(pid: int) -> bool:
    """Whether it does so on its own once it sees that what it has started was stopped, as nsenter(1) does."""
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "nsenter\n"
    except OSError:
        return False


def stat(folder: Path) -> list[str]:
    """A process's state, its parent, and so on: proc_pid_stat(5) from the third field on."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def send(number: signal.Signals, pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


if __name__ == "__main__":
    sys.exit(main())
