"""Figures as people read them: counts, ages, times, rates, and the line of a sparkline. Pure.

What is not known is "?"; nothing of it is a zero.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

UNKNOWN = "?"

#: What a state is called, and the sign before it: a state is told by its word and its sign, never by a colour alone.
STATES = {
    "ready": ("Ready", "○"),
    "fetched": ("Fetched", "◔"),
    "running": ("Running", "▶"),
    "delayed": ("Delayed", "◷"),
    "failed": ("Failed, will be retried", "↻"),
    "completed": ("Completed", "✓"),
    "dead": ("Dead", "✕"),
    "paused": ("Paused", "❙❙"),
    "draining": ("Draining", "↓"),
    "drained": ("Drained", "□"),
    "silent": ("Silent", "!"),
    "unknown": ("Unknown", "?"),
}

#: Why a message is a dead letter, see `queues.failures.Death`.
DEATHS = {
    "retries_exhausted": "retries exhausted",
    "rejected": "rejected by the job itself",
    "invalid_payload": "invalid payload",
    "unknown_job": "unknown job",
    "killed_workers": "killed its workers",
}

#: `wire.NORMAL` is one of them; others are told by their number.
PRIORITIES = {0: "high", 1: "normal", 2: "low"}


def count(value: int | None) -> str:
    """1,234,567"""
    return UNKNOWN if value is None else f"{value:,}"


def duration(ms: float | None) -> str:
    """240 ms · 4.1 s · 42 s · 12 min · 5 h 12 min · 3 d 4 h"""
    if ms is None:
        return UNKNOWN
    if ms < 1_000:
        return f"{ms:.0f} ms"
    seconds = ms / 1_000
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def age(ms: float | None) -> str:
    """As a duration, in whole seconds: what grows before one's eyes is not to flicker."""
    if ms is None:
        return UNKNOWN
    if ms < 10_000:
        return "< 1 s" if ms < 1_000 else f"{ms // 1_000:.0f} s"
    return duration(ms // 1_000 * 1_000)


def since(at_ms: float | None, now_ms: float) -> str:
    """3 min ago · in 10 s · now; in steps of 5 s from ten on: a page full of times is not to flicker"""
    if at_ms is None:
        return UNKNOWN
    passed = now_ms - at_ms
    if abs(passed) < 1_000:
        return "now"
    step = 5_000 if 10_000 <= abs(passed) < 60_000 else 1_000
    told = age(abs(passed) // step * step)
    return f"{told} ago" if passed > 0 else f"in {told}"


def moment(at_ms: float | None) -> str:
    """2026-01-02 12:04:31 UTC"""
    if at_ms is None:
        return UNKNOWN
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(at_ms: float | None) -> str:
    """For `<time datetime>`."""
    return "" if at_ms is None else datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds")


def rate(per_second: float | None) -> str:
    """9.8/s · 3.2/min · 0/s"""
    if per_second is None:
        return UNKNOWN
    if per_second == 0:
        return "0/s"
    if per_second < 0.1:
        return f"{per_second * 60:.1f}/min"
    return f"{per_second:,.1f}/s" if per_second < 100 else f"{per_second:,.0f}/s"


def plural(number: int, one: str, many: str = "") -> str:
    """1 job · 2 jobs · 1,200 jobs"""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def short(text: str | None, most: int = 120) -> str:
    """The first line, cut where it is too long for a table."""
    line = (text or "").strip().split("\n", 1)[0]
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def priority(number: int) -> str:
    """high · normal · low · 7"""
    return PRIORITIES.get(number, str(number))


def pretty(value: Any) -> str:
    """A payload as JSON over several lines."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=repr)


def sparkline(values: Sequence[int | None], width: int = 96, height: int = 22) -> str:
    """The points of a polyline in a box of that size; "" where there is no line to be drawn. Gaps are bridged."""
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return ""
    most = max(value for _, value in known) or 1
    step = width / (len(values) - 1)
    return " ".join(f"{place * step:.1f},{height - 1.5 - value / most * (height - 3):.1f}" for place, value in known)


def sparkline_words(values: Sequence[int | None]) -> str:
    """What a sparkline shows, for who does not see it."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return "no line yet"
    return f"ready jobs: {count(known[0])} at first, {count(max(known))} at most, {count(known[-1])} at last"
