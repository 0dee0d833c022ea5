"""Traces: which jobs became ready when, and how long each kept one thread busy.

A file is CSV with the columns `arrival_s` (seconds since whenever, never falling) and `service_s` (seconds that one
thread is busy with the job); further columns are left alone. The trace begins with its first arrival. A job's own
arrival is when it became ready; where it was known before, because it was delayed, `announced` tells since when: such
traces come from `scenarios` only.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crewcall_operator.errors import CrewcallError

COLUMNS = ("arrival_s", "service_s")

#: Seconds that a job takes at least: what a clock tells as nothing is not nothing.
SHORTEST = 0.0001

#: Seconds that a trace and a job may last. More of them are milliseconds, or cannot be simulated second by second.
LONGEST, LONGEST_JOB = 366 * 86_400.0, 30 * 86_400.0

#: Characters of a wrong value that are shown.
SHOWN_OF_A_VALUE = 40

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
    def end(self) -> float:
        """When the last job would be done if none waited, in seconds."""
        return max(at + service for at, service in zip(self.arrivals, self.services, strict=True))

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
        with file.open(encoding="utf-8-sig", newline="") as lines:  # spreadsheets write a byte order mark
            jobs = list(_jobs(file, lines, problems))
    except OSError as error:
        raise BadTrace([f"{file}: cannot be read: {error.strerror}."]) from error
    except UnicodeDecodeError as error:
        raise BadTrace([f"{file}: is not text in UTF-8."]) from error
    if len(problems) > SHOWN:
        problems = [*problems[:SHOWN], f"{file}: and {len(problems) - SHOWN} more."]
    if not problems and not jobs:
        problems.append(f"{file}: holds no jobs; expected a line for each below {','.join(COLUMNS)}.")
    if problems:
        raise BadTrace(problems)
    began = jobs[0][0]
    return Trace(file.stem, tuple(at - began for at, _ in jobs), tuple(max(SHORTEST, service) for _, service in jobs))


def _jobs(file: Path, lines: Iterable[str], problems: list[str]) -> Iterator[tuple[float, float]]:
    """The jobs as (arrival, service), up to a line that no job can follow; `problems` gets what is wrong."""
    rows = csv.reader(lines)
    first = last = None
    columns: list[int] = []
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            problems.append(f"{file} line {rows.line_num}: is not CSV: {error}.")
            return
        if row is None:
            return
        line = f"{file} line {rows.line_num}:"
        if not row:
            continue
        if not columns:
            header = [name.strip() for name in row]
            if not set(COLUMNS) <= set(header):
                problems.append(f"{line} is {_shown(','.join(row))!r}; expected a header with {','.join(COLUMNS)}.")
                return
            columns = [header.index(name) for name in COLUMNS]
            continue
        texts = [row[column].strip() if column < len(row) else "" for column in columns]
        arrival, service = map(_seconds, texts)
        if problem := _problem(texts, arrival, service, first, last):
            problems.append(f"{line} {problem}")
        if arrival is None or service is None:
            continue
        first = arrival if first is None else first
        last = arrival if last is None else max(last, arrival)
        yield arrival, service


def _problem(
    texts: Sequence[str], arrival: float | None, service: float | None, first: float | None, last: float | None
) -> str | None:
    """What is wrong with a job that follows those from `first` to `last`."""
    shown = [_shown(text) for text in texts]
    if arrival is None:
        return f'arrival_s is "{shown[0]}"; expected seconds as a number, such as 0.250.'
    if service is None:
        return f'service_s is "{shown[1]}"; expected seconds as a number, such as 1.65.'
    if last is not None and arrival < last:
        return f"arrival_s is {shown[0]} after {last:.15g}; sort the jobs by arrival_s."
    if first is not None and arrival - first > LONGEST:
        return f"arrival_s is {shown[0]}, more than a year after the first; are these seconds?"
    if service > LONGEST_JOB:
        return f"service_s is {shown[1]}, more than 30 days; are these seconds?"
    return None


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_OF_A_VALUE else f"{text[:SHOWN_OF_A_VALUE]}…"


def _seconds(text: str) -> float | None:
    if "_" in text:  # which Python reads in numbers, and nobody writes in CSV
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
