"""Showing one run to a person: live on a terminal, or a line for each change where there is none.

Nothing here may hold up the engine: frames and lines are made on the engine's thread, which takes a millisecond, and
written on threads of their own, which a terminal may stop (Ctrl-S). Colour follows NO_COLOR and the terminal, by way of
rich.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from crewcall_operator.api.pool import PoolKey
from crewcall_operator.local.frame import Frame, Wall, replicas, time_of_day
from crewcall_operator.local.history import Decided, Entry
from crewcall_operator.local.lines import Lines
from crewcall_operator.ports import Clock

FRAMES_A_SECOND = 4
LAST_LINES_WITHIN = 1.0


class View(Protocol):
    """What a run is shown on, between entering and leaving it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def refresh(self, footer: str) -> None:
        """Called a few times a second; `footer` says what is going on and what Ctrl-C does."""
        ...


class LiveView:
    """Draws on the whole terminal, and leaves the last frame behind when it goes."""

    def __init__(self, console: Console, frame: Frame, clock: Clock) -> None:
        self._console = console
        self._frame = frame
        self._clock = clock
        self._drawn = Text()
        # The alternate screen: it is cleared at each frame, so that a resize leaves no torn lines behind.
        self._live = Live(
            console=console, screen=True, get_renderable=lambda: self._drawn, refresh_per_second=FRAMES_A_SECOND
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        self._console.print(self._drawn)

    def refresh(self, footer: str) -> None:
        width, height = self._console.size
        self._drawn = self._frame.draw(self._clock(), width, height, footer)


class PlainView:
    """Writes a line for each change; `follow` is for the history to call."""

    def __init__(self, console: Console, title: Sequence[str], wall: Wall, names: Mapping[PoolKey, str]) -> None:
        self._console = console
        self._title = title
        self._wall = wall
        self._names = names
        self._footer = ""
        self._lines = Lines(self._write)

    def __enter__(self) -> Self:
        self._lines.start()
        for line in self._title:
            self._lines.put(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.end(LAST_LINES_WITHIN)

    def refresh(self, footer: str) -> None:
        if self._lines.broken:
            raise self._lines.broken  # as if it had been written here: the command ends, as rich has it
        if footer != self._footer:
            self._lines.put(footer)
        self._footer = footer

    def follow(self, entry: Entry) -> None:
        """Write down what has just changed."""
        what = (
            f"{replicas(entry.before, entry.after)} replicas, {entry.reason.value}: {entry.message}"
            if isinstance(entry, Decided)
            else entry.text
        )
        self._lines.put(f"{time_of_day(self._wall(entry.at))} {self._names[entry.key]}  {what}")

    def _write(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)
