"""Traces: which jobs became ready when, and how long each kept one thread busy.

A file is CSV with the columns `arrival_s` (seconds since the trace began, never falling) and `service_s` (seconds that
one thread is busy with the job); further columns are left alone. A job's own arrival is when it became ready; where it
was known before, because it was delayed, `announced` tells since when: such traces come from `scenarios` only.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crewcall_operator.errors import CrewcallError

COLUMNS = ("arrival_s", "service_s")

#: Problems of one file that are shown; a file with more has one cause, not hundreds.
SHOWN = 10


class BadTrace(CrewcallError):
    """A file that is no trace, with a line for every problem."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


@dataclass(frozen=True, slots=True)
class Trace:
    """Jobs in the order in which they became ready; times in seconds. `announced` is empty where none was delayed."""

    name: str
    arrivals: tuple[float, ...]
    services: tuple[float, ...]
    announced: tuple[float, ...] = ()

    @property
    def span(self) -> float:
        """From the beginning to the last arrival, in seconds."""
        return self.arrivals[-1]

    @property
    def mean_service(self) -> float:
        return sum(self.services) / len(self.services)

    def until(self, seconds: float) -> Trace:
        """The jobs of the first `seconds`."""
        kept = sum(1 for at in self.arrivals if at < seconds)
        return Trace(self.name, self.arrivals[:kept], self.services[:kept], self.announced[:kept])


def read_trace(file: Path) -> Trace:
    """The trace in `file`. Raises `BadTrace` with the line and the reason of what is wrong in it."""
    problems: list[str] = []
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            jobs = list(_jobs(file, csv.reader(lines), problems))
    except OSError as error:
        raise BadTrace([f"{file}: cannot be read: {error.strerror}."]) from error
    except UnicodeDecodeError as error:
        raise BadTrace([f"{file}: is not text in UTF-8."]) from error
    except csv.Error as error:
        raise BadTrace([f"{file}: is not CSV: {error}."]) from error
    if len(problems) > SHOWN:
        problems = [*problems[:SHOWN], f"{file}: and {len(problems) - SHOWN} more."]
    if not problems and not jobs:
        problems.append(f"{file}: holds no jobs; expected a line for each below {','.join(COLUMNS)}.")
    if problems:
        raise BadTrace(problems)
    return Trace(file.stem, tuple(at for at, _ in jobs), tuple(service for _, service in jobs))


def _jobs(file: Path, rows: Iterable[list[str]], problems: list[str]) -> Iterator[tuple[float, float]]:
    last, columns = 0.0, None
    for number, row in enumerate(rows, start=1):
        if not row:
            continue
        if columns is None:
            header = [name.strip() for name in row]
            if not set(COLUMNS) <= set(header):
                problems.append(
                    f"{file} line {number}: is {','.join(row)!r}; expected a header with {','.join(COLUMNS)}."
                )
                return
            columns = [header.index(name) for name in COLUMNS]
            continue
        job = _job(file, number, row, columns, problems)
        if job is None:
            continue
        if job[0] < last:
            problems.append(
                f"{file} line {number}: arrival_s is {job[0]:g} after {last:g}; sort the jobs by arrival_s."
            )
        last = max(last, job[0])
        yield job


def _job(
    file: Path, number: int, row: list[str], columns: Sequence[int], problems: list[str]
) -> tuple[float, float] | None:
    values = []
    for name, column in zip(COLUMNS, columns, strict=True):
        text = row[column].strip() if column < len(row) else ""
        value = _seconds(text)
        if value is None:
            example = "0.250" if name == "arrival_s" else "1.65"
            problems.append(
                f'{file} line {number}: {name} is "{text}"; expected seconds as a number, such as {example}.'
            )
            return None
        values.append(value)
    return values[0], values[1]


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
