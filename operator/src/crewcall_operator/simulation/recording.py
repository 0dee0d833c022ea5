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
    """Begins at `began_ms`, when `arrived` jobs had become ready since ever.

    `older` runs were left out, and `unread` ones, whose rows have no form that is known.
    """

    def __init__(self, began_ms: int, arrived: int) -> None:
        self.began_ms = began_ms
        self.older = self.unread = 0
        self._arrived = self._arrived_before = arrived
        self._outstanding = 0
        self._ready = array("d")
        self._service = array("d")

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def is_full(self) -> bool:
        return len(self) >= MOST

    @property
    def unfinished(self) -> int:
        """Jobs of which nobody has told: those outstanding, or as many more as became ready and were counted."""
        return max(self._outstanding, self._arrived - self._arrived_before - len(self) - self.unread)

    def add(self, runs: Iterable[tuple[int, float]], arrived: int, outstanding: int = 0, unread: int = 0) -> None:
        """Runs that ended, as (ready, duration) in ms, and `unread` rows that nobody can read.

        By then `arrived` jobs had become ready since ever, and `outstanding` were not over.
        """
        self._arrived, self._outstanding = arrived, outstanding
        self.unread += unread
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
                table.writerow((f"{ready:.3f}", f"{service:.6f}"))
        part.replace(file)
