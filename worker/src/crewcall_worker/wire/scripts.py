"""The Lua scripts for whoever has a Redis client, and their answers. The head of each tells what it takes.

A Redis that is full (`maxmemory`, noeviction) refuses what may need more, of a script its first write alone: once it
has written, it is not stopped halfway (scriptVerifyOOM in Redis's script.c; scriptCall in scripting.c before 7.0). So
scripts by which workers work jobs off, and so make room, begin with a write that needs nothing: they take something
out that is never there. Of those that enqueue new jobs none does so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Delayed:
    """What `READ_DELAYED` tells of one queue: ETAs in ms, "due" until the horizon that was asked for.

    `unindexed` messages are those of plain producers. `read` of them were looked at this time, from the cursor that
    was sent to before `cursor`; `read_first_ms` and `read_due` tell of these only. Where `cursor` is "0" the scan has
    come to the end of them.
    """

    indexed: int
    first_ms: int | None
    due: int
    unindexed: int
    read_first_ms: int | None
    read_due: int
    read: int
    cursor: str


def read_delayed(answer: Sequence[int | str | bytes]) -> Delayed:
    """One queue's part of the answer to `READ_DELAYED`."""
    indexed, first_ms, due, unindexed, read_first_ms, read_due, read = (int(number) for number in answer[:7])
    cursor = answer[7]
    return Delayed(
        indexed,
        first_ms if first_ms >= 0 else None,
        due,
        unindexed,
        read_first_ms if read_first_ms >= 0 else None,
        read_due,
        read,
        cursor.decode() if isinstance(cursor, bytes) else str(cursor),
    )


def script(name: str) -> str:
    """The text of one of the Lua scripts in `lua`, behind the functions of `limits.lua` where it calls them."""
    text = _read(name)
    return _read("limits") + text if "LIMITS." in text else text


def _read(name: str) -> str:
    return (Path(__file__).parents[1] / "lua" / f"{name}.lua").read_text(encoding="utf-8")


RECOVER: Final = script("recover")
"""Take one worker for dead: whoever sends it knows that it is. Writes."""

SWEEP: Final = script("sweep")
"""Tell which workers have been silent for too long, by nobody else's fault. Writes."""

READ_DELAYED: Final = script("delayed")
"""Tell when delayed messages are due, those of plain producers included. Reads only."""
