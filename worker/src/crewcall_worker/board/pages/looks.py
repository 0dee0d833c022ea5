"""What each page shows: what is asked of it, by what template it is told, and what is read for it.

A `Look` is one page with one set of questions. The page itself, its live part sent over the stream, and the same part
asked for by a browser that polls are all made of it. `key` is equal for looks that show the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from pydantic import BeforeValidator

from crewcall_worker.board.audit import Audit
from crewcall_worker.board.finding import check_queue, find_job, find_pool
from crewcall_worker.board.problems import Refusal
from crewcall_worker.board.reading.dead_letters import read_dead_letters
from crewcall_worker.board.reading.jobs import Listed, read_jobs
from crewcall_worker.board.reading.overview import read_overview
from crewcall_worker.board.reading.pools import read_history
from crewcall_worker.board.reading.queues import QueueLook, read_queue
from crewcall_worker.board.reading.schedules import read_schedules
from crewcall_worker.board.reading.search import search
from crewcall_worker.board.reading.source import Source
from crewcall_worker.board.reading.workers import read_workers
from crewcall_worker.queues.views import Page

LONGEST = 200
Words = Annotated[str, Query(max_length=LONGEST)]
Cursor = Annotated[str, Query(max_length=400)]
Before = Annotated[int | None, BeforeValidator(lambda told: told or None)]
"""ms; nothing in it is as if it were not asked."""


@dataclass(frozen=True, slots=True)
class Look:
    """`name` is that of its templates: `<name>.html` is the page, `<name>_live.html` its live part."""

    name: str
    title: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    read: Callable[[Source], dict[str, Any]]
    read_once: Callable[[Source], dict[str, Any]] = lambda _: {}
    """What the whole page has besides, and its live part does not."""

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.name, self.path, tuple(sorted(self.query.items())))


SORTS: Mapping[str, Callable[[QueueLook], Any]] = {
    "name": lambda look: look.queue,
    "ready": lambda look: -look.ready,
    "running": lambda look: -look.running,
    "delayed": lambda look: -look.delayed,
    "dead": lambda look: -look.dead,
    "oldest": lambda look: -(look.oldest_age_ms or -1),
}


def overview(after: Words = "", sort: Words = "name") -> Look:
    """All pools, and the queues."""
    by = sort if sort in SORTS else "name"

    def read(source: Source) -> dict[str, Any]:
        found = read_overview(source, after)
        return {"board": found, "queues": sorted(found.queues, key=SORTS[by]), "sort": by, "is_first": not after}

    return Look("overview", "Overview", (), _asked(after=after, sort=by if by != "name" else ""), read)


def pool(pool: str) -> Look:
    """One pool: what was decided of it and why, and its workers."""

    def read(source: Source) -> dict[str, Any]:
        found = find_pool(source, pool)
        return {"pool": found, "workers": read_workers(source, pool, found.record.queues)}

    def read_once(source: Source) -> dict[str, Any]:
        return {"history": read_history(source, pool)}

    return Look("pool", f"Pool {pool}", ("pools", pool), {}, read, read_once)


def queue(
    queue: str,
    state: Listed = Listed.READY,
    job: Words = "",
    organization: Words = "",
    error: Words = "",
    cursor: Cursor = "",
) -> Look:
    """One queue: its jobs in one state."""
    asked = _asked(state=state.value, job=job, organization=organization, error=error, cursor=cursor)

    def read(source: Source) -> dict[str, Any]:
        check_queue(source, queue)
        look = read_queue(source, queue)
        try:
            page = read_jobs(
                source, queue, state, job=job, organization_id=organization, error=error, cursor=cursor or None
            )
        except ValueError as problem:
            raise Refusal(str(problem)) from problem
        is_all = not (job or organization or error or cursor or page.cursor)
        return {
            "queue": look,
            "failed": _failed(look, page if state is Listed.FAILED and is_all else None),
            "rates": source.book.note([look])[queue],
            "listed": state,
            "lists": tuple(Listed),
            "page": page,
            "asked": {"job": job, "organization": organization, "error": error},
            "is_filtered": bool(job or organization or error),
            "is_first": not cursor,
        }

    return Look("queue", f"Queue {queue}", ("q", queue), asked, read)


def job(job_id: str, queue: Words = "") -> Look:
    """One job."""

    def read(source: Source) -> dict[str, Any]:
        found = find_job(source, job_id, queue)
        return {"detail": found, "job": found.job}

    return Look("job", f"Job {job_id}", ("jobs", job_id), _asked(queue=queue), read)


def dead(before: Before = None) -> Look:
    """Dead letters of all queues."""

    def read(source: Source) -> dict[str, Any]:
        return {"dead": read_dead_letters(source, before_ms=before), "is_first": before is None}

    return Look("dead", "Dead letters", ("dead",), _asked(before="" if before is None else str(before)), read)


def audit(before: Cursor = "") -> Look:
    """Who did what."""

    def read(source: Source) -> dict[str, Any]:
        try:
            page = Audit(source.client, source.namespace).page(before or None)
        except ValueError as problem:
            raise Refusal(str(problem)) from problem
        return {"audit": page, "now_ms": source.now_ms(), "is_first": not before}

    return Look("audit", "Audit", ("audit",), _asked(before=before), read)


def schedules() -> Look:
    """All schedules."""
    return Look("schedules", "Schedules", ("schedules",), {}, lambda source: {"list": read_schedules(source)})


def searched(q: Words = "") -> Look:
    """What is called so."""
    return Look("search", "Search", ("search",), _asked(q=q), lambda source: {"found": search(source, q)})


def _failed(look: QueueLook, failed: Page | None) -> int | None:
    """How many failed jobs there are, where it is plain; `failed` are all of them. None where one would have to look
    through the delayed ones."""
    if look.delayed == look.delayed_unlisted:
        return 0
    return len(failed.jobs) if failed else None


def _asked(**query: str) -> dict[str, str]:
    return {name: value for name, value in query.items() if value}
