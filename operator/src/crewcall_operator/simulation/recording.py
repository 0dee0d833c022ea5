"""A recording: a trace of a pool that runs, from what its workers tell of each run that ended.

In it are the jobs that became ready after it began. Those that were ready before are left out, since it is not known
how many of them had been done by then; those that are not over at its end have no service time yet, and are counted.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable
from pathlib import Path

from crewcall_operator.simulation.trace import COLUMNS

#: Jobs after which a recording ends by itself: 80 MB of memory.
MOST = 5_000_000


class Recording:
    """Begins at `began_ms`, when `arrived` jobs had become ready since ever. `older` runs were left out."""

    def __init__(self, began_ms: int, arrived: int) -> None:
        self.began_ms = began_ms
        self.older = 0
        self._arrived = self._arrived_before = arrived
        self._ready = array("d")
        self._service = array("d")

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def is_full(self) -> bool:
        return len(self) >= MOST

    @property
    def unfinished(self) -> int:
        """Jobs that became ready since it began, as far as their producers count them, and are not over yet."""
        return max(0, self._arrived - self._arrived_before - len(self))

    def add(self, runs: Iterable[tuple[int, int]], arrived: int) -> None:
        """Runs that ended, as (ready, duration) in ms, and how many jobs had become ready since ever by then."""
        self._arrived = arrived
        for ready_ms, service_ms in runs:
            if ready_ms < self.began_ms:
                self.older += 1
            else:
                self._ready.append((ready_ms - self.began_ms) / 1000)
                self._service.append(service_ms / 1000)

    def write(self, file: Path) -> None:
        """Write the trace, all of it or nothing. Raises `OSError`."""
        part = file.with_name(f".{file.name}.part")
        with part.open("w", encoding="utf-8", newline="") as lines:
            table = csv.writer(lines, lineterminator="\n")
            table.writerow(COLUMNS)
            for ready, service in sorted(zip(self._ready, self._service, strict=True)):
                table.writerow((f"{ready:.3f}", f"{service:.3f}"))
        part.replace(file)
