"""Lines that somebody may be slow to read: written in a thread of their own, the oldest left out when they pile up."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

MOST_WAITING = 1000


class Lines(threading.Thread):
    """Hands lines to `write`, one by one. It may block (Ctrl-S, a full pipe); who has something to say never does."""

    def __init__(self, write: Callable[[str], object], most_waiting: int = MOST_WAITING) -> None:
        super().__init__(name="crewcall-lines")
        self._write = write
        self._most_waiting = most_waiting
        self._waiting: deque[str] = deque()
        self._left_out = 0
        self._is_over = False
        self._changed = threading.Condition()
        self.broken: SystemExit | None = None
        """Why nobody reads any more, in rich's words: `Console.on_broken_pipe`."""

    def put(self, line: str) -> None:
        """Write this when all before it is written."""
        with self._changed:
            if len(self._waiting) == self._most_waiting:
                self._waiting.popleft()
                self._left_out += 1
            self._waiting.append(line)
            self._changed.notify()

    def end(self, within: float) -> None:
        """Nothing will be added. Comes back once all is written, or `within` seconds later; the rest is then still
        written before the process ends, as with any program whose output waits for its reader."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self.join(within)

    def run(self) -> None:
        try:
            while (line := self._next()) is not None:
                self._write(line)
        except SystemExit as error:
            self.broken = error

    def _next(self) -> str | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over)
            if self._left_out:
                told, self._left_out = f"({self._left_out} lines are left out: they were not read in time)", 0
                return told
            return self._waiting.popleft() if self._waiting else None
