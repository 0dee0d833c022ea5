"""Ask a running worker, from outside its process, to finish and go home; wait until it has.

This is what a pod's preStop hook runs inside the worker's container, where the worker is process 1. It tells what a
process is from Linux's /proc (man 5 proc) and signals nothing that is not a Crewcall worker.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from crewcall_worker.errors import NotAWorker, StillRunning

PROC = Path("/proc")
LOOK_EVERY = 0.05
GONE = frozenset("ZXx")  # a zombie has ended; reaping it is for its parent


def drain(pid: int, *, wait: bool, timeout: float | None, pause: Callable[[float], object] = time.sleep) -> None:
    """Send the worker `pid` a SIGTERM; with `wait`, come back when it has ended, at most `timeout` seconds later.

    Raises `NotAWorker` where that process is none, and `StillRunning` when the time is over.
    """
    begun = _begun(pid)
    command = _command(pid)
    if begun is None or not is_worker(command):
        what = f"is {command[0]!r}" if command else "is not there"
        raise NotAWorker(
            f"Process {pid} {what}, not a `crewcall-worker run`, and was left alone. Name the worker with --pid, or "
            "with --pid-file at both `run` and `drain`."
        )
    deadline = None if timeout is None else time.monotonic() + timeout
    # Process 1 does not get a signal that it has no handler for: one sent while Python starts would be lost.
    while _begun(pid) == begun and not _hears(pid, signal.SIGTERM):
        _wait_on(pid, deadline, pause)
    if _begun(pid) == begun:
        os.kill(pid, signal.SIGTERM)
    while wait and _begun(pid) == begun:
        _wait_on(pid, deadline, pause)


def is_worker(command: list[str]) -> bool:
    """Whether this command line is that of `crewcall-worker run`, plainly or under a small init such as tini."""
    names = [Path(part).name for part in command]
    return ("crewcall-worker", "run") in pairwise(names)


def _wait_on(pid: int, deadline: float | None, pause: Callable[[float], object]) -> None:
    if deadline is not None and time.monotonic() >= deadline:
        raise StillRunning(f"Worker {pid} is still running its jobs. It goes on, and ends when they are finished.")
    pause(LOOK_EVERY)


def _command(pid: int) -> list[str]:
    try:
        return (PROC / str(pid) / "cmdline").read_text(errors="replace").rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def _begun(pid: int) -> str | None:
    """When the process began, by which it is told from a later one of that number; None where it is gone."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it, in brackets, may hold anything
    state, begun = fields[0], fields[19]
    return None if state in GONE else begun


def _hears(pid: int, number: int) -> bool:
    """Whether a signal to this process is not lost: it handles it, or blocks it, or is an init with its child running.

    Inits fetch signals by a signalfd, and block them for it; or by sigwait, which shows them as not blocked while it
    waits (man 7 signal; Linux, kernel/signal.c, do_sigtimedwait). They are ready for it before they start their child.
    """
    try:
        status = (PROC / str(pid) / "status").read_text(errors="replace")
        children = PROC / str(pid) / "task" / str(pid) / "children"
        if children.exists() and children.read_text().strip():
            return True
    except (FileNotFoundError, ProcessLookupError):
        return False
    masks = dict(line.split(":", 1) for line in status.splitlines())
    return any(int(masks[name], 16) >> (number - 1) & 1 for name in ("SigCgt", "SigBlk"))
