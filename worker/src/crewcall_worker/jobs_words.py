"""What `crewcall-worker jobs` says: tables for people, JSON for scripts. Pure.

A list never shows what jobs carry, for that is often of persons; who looks at one job is shown it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from crewcall_worker.queues.counts import QueueCounts
from crewcall_worker.queues.dead_letters import Done
from crewcall_worker.queues.organizations import OrganizationCounts
from crewcall_worker.queues.pauses import Pause
from crewcall_worker.queues.schedules import ScheduleView
from crewcall_worker.queues.views import JobView, Page

LONGEST_ERROR = 60
LISTED = ("id", "job", "organization_id", "state", "attempt", "at_ms", "death", "error")


def queues(counts: Iterable[QueueCounts], as_json: bool) -> str:
    """Queues and what is in them."""
    found = list(counts)
    if as_json:
        return _json([asdict(count) for count in found])
    if not found:
        return "No queue has been seen in this Redis yet."
    rows = [
        (
            count.queue + (" (paused)" if count.is_paused else ""),
            *map(str, (count.ready, count.in_flight, count.running, count.delayed, count.completed, count.dead)),
        )
        for count in found
    ]
    return _table(("queue", "ready", "in flight", "running", "delayed", "completed", "dead"), rows)


def page(found: Page, as_json: bool) -> str:
    """Some jobs, and how to see those behind them."""
    if as_json:
        listed = [{name: getattr(job, name) for name in LISTED} for job in found.jobs]
        return _json({"jobs": listed, "cursor": found.cursor})
    rows = [
        (
            job.id,
            job.job or "?",
            job.organization_id or "-",
            str(job.attempt),
            _time(job.at_ms),
            " ".join(filter(None, (job.death, _short(job.error)))) or "-",
        )
        for job in found.jobs
    ]
    text = _table(("id", "job", "organization", "try", "at", "error"), rows) if rows else "None."
    return f"{text}\nThere may be more: --cursor {json.dumps(found.cursor)}" if found.cursor else text


def job(found: JobView, as_json: bool) -> str:
    """One job, whole."""
    if as_json:
        return _json(asdict(found))
    facts = {
        "id": found.id,
        "job": found.job or "?",
        "queue": found.queue,
        "organization": found.organization_id or "-",
        "state": f"{found.state}, since {_time(found.at_ms)}",
        "enqueued": _time(found.enqueued_ms),
        "try": str(found.attempt),
        "worker": found.worker,
        "reason": found.death,
        "error": found.error,
    }
    lines = [f"{name:<14}{value}" for name, value in facts.items() if value]
    payload = (
        "(not shown: it is too large, or no message)"
        if found.is_cut
        else json.dumps(found.payload, indent=2, ensure_ascii=False)
    )
    return "\n".join([*lines, "", payload, *(["", found.traceback.rstrip()] if found.traceback else [])])


def schedules(found: Sequence[ScheduleView], as_json: bool) -> str:
    """Every schedule."""
    if as_json:
        return _json([{name: value for name, value in asdict(it).items() if name != "payload"} for it in found])
    if not found:
        return "There is no schedule."
    rows = [
        (
            it.name,
            it.problem or f"{it.cron} ({it.timezone})",
            it.job or "?",
            it.organization_id or "-",
            _time(it.last_ms),
            _time(it.next_ms),
        )
        for it in found
    ]
    return _table(("schedule", "when", "job", "organization", "last", "next"), rows)


def unscheduled(name: str, was_there: bool, as_json: bool) -> str:
    """A schedule was to be removed."""
    if as_json:
        return _json({"schedule": name, "removed": was_there})
    return f"Schedule {name!r} is removed." if was_there else f"There is no schedule {name!r}."


def organization(found: Sequence[OrganizationCounts], as_json: bool) -> str:
    """What an organisation's jobs came to on a day."""
    if as_json:
        return _json([asdict(counts) for counts in found])
    if not found:
        return "None."
    rows = [(it.queue, str(it.enqueued), str(it.done), str(it.failed)) for it in found]
    return _table(("queue", "enqueued", "done", "failed"), rows)


def done(what: str, result: Done, as_json: bool) -> str:
    """What became of those that were to be retried or deleted."""
    if as_json:
        return _json({what: result.done, "missing": result.missing, "unreadable": result.unreadable})
    lines = [f"{len(result.done)} {what}."]
    if result.missing:
        lines.append(f"{len(result.missing)} were not there, or not any more: {', '.join(result.missing)}")
    if result.unreadable:
        lines.append(f"{len(result.unreadable)} are no messages, and stay: {', '.join(result.unreadable)}")
    return "\n".join(lines)


def paused(pause: Pause, as_json: bool) -> str:
    """A queue that is paused."""
    if as_json:
        return _json(asdict(pause))
    reason = f": {pause.reason}" if pause.reason else ""
    return f"{pause.queue} is paused by {pause.by or '?'} since {_time(pause.at_ms)}{reason}"


def limits(found: Mapping[str, int], as_json: bool) -> str:
    """How many jobs of each organisation may be in flight."""
    if as_json:
        return _json(dict(found))
    rows = [(organization, str(most)) for organization, most in found.items()]
    return _table(("organization", "most in flight"), rows) if rows else "No limits."


def resumed(queue: str, pause: Pause | None, as_json: bool) -> str:
    """A queue that goes on."""
    if as_json:
        return _json({"queue": queue, "was_paused": pause is not None})
    return f"{queue} goes on." if pause else f"{queue} was not paused."


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (heads, *rows)
    )


def _time(at_ms: int | None) -> str:
    if at_ms is None:
        return "?"
    try:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"
    except (OverflowError, ValueError, OSError):
        return f"{at_ms} ms"  # in no calendar


def _short(error: str | None) -> str:
    line = (error or "").partition("\n")[0]
    return line if len(line) <= LONGEST_ERROR else line[: LONGEST_ERROR - 3] + "..."


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
