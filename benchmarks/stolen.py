"""How much of a machine's time others took: a virtual one is not told why it is slow, but its kernel counts it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

STAT = Path("/proc/stat")


class Ticks(NamedTuple):
    """Of all processors since the machine began: what other virtual machines took, and all there were."""

    stolen: int
    all: int


def ticks(stat: Path = STAT) -> Ticks | None:
    """By now; None where the kernel counts none."""
    if not stat.exists():
        return None
    # user, nice, system, idle, iowait, irq, softirq, steal; those of guests are among user's and nice's: proc(5)
    counted = [int(word) for word in stat.read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    return Ticks(counted[7], sum(counted))


def share(before: Ticks | None, after: Ticks | None) -> float | None:
    """The share of the time between the two that was stolen, 0 to 1; None where it is not known."""
    if before is None or after is None or after.all == before.all:
        return None
    return round((after.stolen - before.stolen) / (after.all - before.all), 3)
