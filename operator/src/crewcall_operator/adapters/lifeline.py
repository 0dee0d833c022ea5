"""Ends processes whose owner has gone without a word, so that a killed `crewcall local` leaves no worker behind.

A small process of its own waits at the end of a pipe that only the owner holds. The kernel closes the pipe however
the owner ends, SIGKILL included; the keeper then sends SIGTERM to the process groups it was told of, and SIGKILL to
those that have not gone within their grace period. A pipe, not Linux's PR_SET_PDEATHSIG: it works on macOS too, needs
nothing of the worker's program, reaches a whole group, and does not depend on which thread started the child.

This file is also the keeper's program: standard library only, and it is run by its path.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

POLL = 0.1


class Lifeline:
    """The owner's end of the pipe. Closing it ends the keeper, and with it whatever is still held."""

    def __init__(self) -> None:
        read_end, self._pipe = os.pipe()  # neither end goes to any other child: Python's descriptors are not inherited
        # A session of its own, as the workers have: the terminal's Ctrl-C must not reach the keeper.
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__))],
            stdin=read_end,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(read_end)

    @property
    def pid(self) -> int:
        """The keeper's process id."""
        return self._keeper.pid

    def hold(self, group: int, grace: float) -> None:
        """Should the owner go: end this process group, with `grace` seconds between SIGTERM and SIGKILL."""
        self._tell(f"hold {group} {grace}")

    def let_go(self, group: int) -> None:
        """This group has ended; its number may soon be another's."""
        self._tell(f"let-go {group}")

    def close(self) -> None:
        """End the keeper. What is still held is ended first."""
        os.close(self._pipe)
        self._keeper.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tell(self, order: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # the keeper was killed: there is nobody to tell
            os.write(self._pipe, f"{order}\n".encode())


def keep(orders: Iterable[str]) -> dict[int, float]:
    """Follow the orders to their end; answer with the groups still held and their grace in seconds."""
    held: dict[int, float] = {}
    for order in orders:
        match order.split():
            case ["hold", group, grace]:
                held[int(group)] = float(grace)
            case ["let-go", group]:
                held.pop(int(group), None)
    return held


def end(groups: dict[int, float]) -> None:
    """SIGTERM to all, then SIGKILL to each that outlives its grace."""
    began = time.monotonic()
    remaining = {group: grace for group, grace in groups.items() if _signal(group, signal.SIGTERM)}
    while remaining:
        time.sleep(POLL)
        elapsed = time.monotonic() - began
        for group in [group for group, grace in remaining.items() if elapsed >= grace]:
            _signal(group, signal.SIGKILL)
            del remaining[group]
        remaining = {group: grace for group, grace in remaining.items() if _signal(group, 0)}


def _signal(group: int, number: int) -> bool:
    """Send it; false where the group is no more."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS says "not permitted" of a group of zombies
        return False
    return True


if __name__ == "__main__":
    end(keep(sys.stdin))
