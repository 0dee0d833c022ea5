"""A contest's result in words and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from crewcall_operator.core.promise import LATE
from crewcall_operator.simulation.contest import Result
from crewcall_operator.simulation.score import Score

COLUMNS = ("late", "p50", "p95", "p99", "pod-hours", "vs clairvoyant", "peak", "changes", "flips", "cut off")


def table(result: Result) -> str:
    """The whole answer, some lines of text."""
    return "\n".join(_lines(result))


def as_json(result: Result) -> dict[str, Any]:
    """The same; a wait that never ended is null, as are percentiles of such."""
    return {
        "trace": result.trace.name,
        "jobs": len(result.trace.arrivals),
        "span_s": round(result.trace.span, 3),
        "service_s": round(result.trace.mean_service, 3),
        "startup_s": result.setting.startup,
        "threads": result.setting.threads,
        "promise_s": result.promise,
        "feasible": result.is_feasible,
        "clairvoyant_pod_hours": round(result.clairvoyant, 3),
        "work_pod_hours": round(result.work, 3),
        "dominated_by": result.dominating(),
        "autoscalers": {name: _rounded(entry.score) for name, entry in result.entries.items()},
    }


def _rounded(of: Score) -> dict[str, Any]:
    return {name: round(value, 4) if math.isfinite(value) else None for name, value in asdict(of).items()}


def _lines(result: Result) -> Iterator[str]:
    trace = result.trace
    yield (
        f"{trace.name}: {len(trace.arrivals):,} jobs in {_span(trace.span)}, {trace.mean_service:.3g} s each · "
        f"promise {1 - LATE:.0%} within {result.promise:g} s"
    )
    yield ""
    rows = [("", *COLUMNS), *((name, *_row(entry.score, result)) for name, entry in result.entries.items())]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for name, *cells in rows:
        yield "  ".join(
            ["", name.ljust(widths[0]), *(it.rjust(width) for it, width in zip(cells, widths[1:], strict=True))]
        )
    yield ""
    yield (
        f"  Without any wait, and knowing the future, {result.clairvoyant:.3g} pod-hours; "
        f"the work alone is {result.work:.3g}. Replicas start in {result.setting.startup:g} s, "
        f"with {result.setting.threads} threads each."
    )
    if not result.is_feasible:
        yield (
            f"  No pool that only reacts keeps this promise here: with all replicas called at the first job "
            f"more than {LATE:.0%} start late. More maxReplicas, a quicker start or minReplicas may help."
        )
    for name in result.dominating():
        yield f"  {name} has both fewer late jobs and fewer pod-hours than crewcall here."


def _row(of: Score, result: Result) -> tuple[str, ...]:
    return (
        f"{of.late:.1%}",
        *(_wait(wait) for wait in (of.p50, of.p95, of.p99)),
        f"{of.pod_hours:.2f}",
        f"{of.pod_hours / result.clairvoyant:.2f}x",
        str(of.peak),
        str(of.changes),
        str(of.flips),
        str(of.interrupted),
    )


def _wait(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "never"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _span(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
