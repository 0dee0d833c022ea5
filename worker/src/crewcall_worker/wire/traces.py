"""Runs of jobs as workers tell of them while somebody records: the rows of `trace:<queue>`."""

from __future__ import annotations

import math
from typing import Final

from crewcall_worker.wire.workers import UnknownRecord

RECORDED_FOR_MS: Final = 10_000
"""How long workers write to `trace:<queue>` after a recorder asked for it; it asks anew before that is over."""

MOST_TRACED: Final = 20_000
"""The most runs in `trace:<queue>`; whoever finds as many there has to take it that others are missing."""

TRACE_KEPT_MS: Final = 60_000
"""How long a trace that nobody takes is kept."""


def write_run(ready_ms: float, service_ms: float) -> str:
    """A row of `trace:<queue>`: when the job was ready, and for how long it kept its thread busy, both in ms.

    Many jobs are over within one, so the second has three digits more.
    """
    return f"{ready_ms:.0f} {service_ms:.3f}"


def read_run(row: str | bytes) -> tuple[int, float]:
    """When a job was ready, and how long it ran, in ms; further words are left alone. Raises `UnknownRecord`."""
    text = row.decode(errors="replace") if isinstance(row, bytes) else row
    try:
        first, second = text.split()[:2]
        ready_ms, service_ms = int(first), float(second)
    except ValueError as error:
        raise UnknownRecord(f'a row of a trace is "{text}"; expected two numbers of ms') from error
    if not (math.isfinite(service_ms) and service_ms >= 0):
        raise UnknownRecord(f'a row of a trace is "{text}"; expected a duration in ms')
    return ready_ms, service_ms
