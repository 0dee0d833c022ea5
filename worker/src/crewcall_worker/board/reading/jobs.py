"""Jobs of a queue, page by page, and one job whole: what `queues.views` finds, without what is not for eyes.

FAILED is no state of Redis's: those are delayed jobs that were tried before, looked for among the others. So nobody
counts them unless a page has them all, and a page of them may be empty and have a cursor to go on from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isfinite
from typing import Any

from crewcall_worker.board.reading.queues import queue_names
from crewcall_worker.board.reading.source import Source
from crewcall_worker.options import DEDUPE_KEY, RATE_KEY, SCHEDULE, TRACE
from crewcall_worker.queues.views import RETRIES_AT_ONCE, Filter, JobState, JobView, Page

JOBS_ON_A_PAGE = 50


class Listed(StrEnum):
    """The lists that a queue's jobs are shown in."""

    READY = "ready"
    RUNNING = "running"
    DELAYED = "delayed"
    FAILED = "failed"
    """They failed, and will be tried again."""
    COMPLETED = "completed"
    DEAD = "dead"
    """Nobody will try these again."""

    @property
    def state(self) -> JobState:
        """The state of the jobs in it."""
        return JobState.DELAYED if self is Listed.FAILED else JobState(self.value)


@dataclass(frozen=True, slots=True)
class JobDetail:
    """One job. `trace_id` as W3C's trace context has it; `schedule`: the one that it is a tick of."""

    job: JobView
    now_ms: int
    trace_id: str | None = None
    schedule: str | None = None
    rate_key: str | None = None
    dedupe_key: str | None = None


def read_jobs(
    source: Source,
    queue: str,
    listed: Listed,
    *,
    job: str | None = None,
    organization_id: str | None = None,
    error: str | None = None,
    cursor: str | None = None,
    limit: int = JOBS_ON_A_PAGE,
) -> Page:
    """Some jobs of a queue that are like that, without their tracebacks. See `Views.page` for their order.

    Raises `ValueError` where the cursor is none that was told.
    """
    if cursor and not _is_cursor(cursor, listed):
        raise ValueError(f"cursor is {cursor!r}; expected one that a page of {listed} jobs told")
    like = Filter(job or None, organization_id or None, error or None, True if listed is Listed.FAILED else None)
    page = source.views.page(queue, listed.state, cursor=cursor, limit=limit, like=like)
    return Page(tuple(replace(view, traceback=None) for view in page.jobs), page.cursor)


def read_job(source: Source, job_id: str, queue: str | None = None) -> JobDetail | None:
    """One job by its id (see `id_of`), in this queue, or in all up to its hundredth retry; None if nothing is kept."""
    if queue:
        view = source.views.find(job_id, queue)
    else:
        view = source.views.find(job_id, *queue_names(source), retries=RETRIES_AT_ONCE)
    if view is None:
        return None
    trace = view.options.get(TRACE)
    parent = trace.get("traceparent") if isinstance(trace, Mapping) else None
    parts = parent.split("-") if isinstance(parent, str) else []
    return JobDetail(
        job=view,
        now_ms=source.now_ms(),
        trace_id=parts[1] if len(parts) == 4 else None,
        schedule=_text(view.options.get(SCHEDULE)),
        rate_key=_text(view.options.get(RATE_KEY)),
        dedupe_key=_text(view.options.get(DEDUPE_KEY)),
    )


def id_of(view: JobView) -> str:
    """By what the job is found again: its own id, if those of its tries are made of that, else that of this try."""
    is_derived = view.message_id == view.id or view.message_id.startswith(f"{view.id}.")
    return view.id if is_derived else view.message_id


def _is_cursor(cursor: str, listed: Listed) -> bool:
    """As `lua/page.lua` writes them: "<score> <id>" in a sorted set; of ready jobs "<source>/<place>"."""
    if listed is Listed.READY:
        source, slash, cursor = cursor.partition("/")
        if not slash or not (source.isascii() and source.isdecimal() and len(source) < 3):
            return False
        if cursor == "" or (cursor.isascii() and cursor.isdecimal() and len(cursor) < 16):
            return True
    score, space, id_ = cursor.partition(" ")
    try:
        return bool(space and id_) and isfinite(float(score))
    except ValueError:
        return False


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
