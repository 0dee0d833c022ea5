"""What the API tells."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Query

from crewcall_worker.board.api.asked import Cursor, JobId, Limit, PoolName, QueueName, Word
from crewcall_worker.board.audit import ENTRIES_ON_A_PAGE, ENTRY_ID, AuditPage
from crewcall_worker.board.finding import check_queue, find_job, find_pool
from crewcall_worker.board.people import Role
from crewcall_worker.board.problems import Invalid
from crewcall_worker.board.reading.dead_letters import DeadLetterList, read_dead_letters
from crewcall_worker.board.reading.health import QueuesHealth, read_health
from crewcall_worker.board.reading.jobs import JOBS_ON_A_PAGE, JobDetail, Listed, read_jobs
from crewcall_worker.board.reading.overview import Overview, read_overview
from crewcall_worker.board.reading.pools import HISTORY_HOURS, History, PoolLook, read_history, read_pools
from crewcall_worker.board.reading.queues import QueueLook, QueuesPage, read_queue, read_queues_page
from crewcall_worker.board.reading.schedules import ScheduleList, read_schedules
from crewcall_worker.board.reading.search import LONGEST, Found, search
from crewcall_worker.board.reading.workers import Workers, read_workers
from crewcall_worker.board.visits import TheBoard, Visitor
from crewcall_worker.queues.views import Page

MOST_MS = 2**53


@dataclass(frozen=True, slots=True)
class Status:
    """The board's version, who asks, what they may do, and the overview. `until` in seconds since the epoch."""

    version: str
    subject: str
    role: Role
    until: float
    may_act: bool
    is_read_only: bool
    overview: Overview


router = APIRouter()


@router.get("/status", tags=["board"])
def status(board: TheBoard, visit: Visitor, after: Word = None) -> Status:
    """Who asks, and all pools and queues at a glance; `after` as the overview tells."""
    person = visit.person
    return Status(
        version=version("crewcall"),
        subject=person.subject,
        role=person.role,
        until=person.until,
        may_act=board.actions.may_act(visit),
        is_read_only=board.settings.is_read_only,
        overview=read_overview(board.source, after or ""),
    )


@router.get("/audit", tags=["board"])
def audit(
    board: TheBoard,
    visit: Visitor,
    before: Annotated[
        str | None, Query(pattern=ENTRY_ID, description="What the page before this one has told.")
    ] = None,
    limit: Limit = ENTRIES_ON_A_PAGE,
) -> AuditPage:
    """Who did what, the last first."""
    del visit
    return board.audit.page(before, limit)


@router.get("/search", tags=["board"])
def find(board: TheBoard, visit: Visitor, q: Annotated[str, Query(max_length=LONGEST)] = "") -> Found:
    """A job by its id, queues and pools by their names."""
    del visit
    return search(board.source, q)


@router.get("/queues/health", tags=["queues"])
def health(board: TheBoard, visit: Visitor) -> QueuesHealth:
    """Whether Redis answers, and what waits in all queues together."""
    del visit
    return read_health(board.source)


@router.get("/queues", tags=["queues"])
def queues(board: TheBoard, visit: Visitor, after: Word = None) -> QueuesPage:
    """Queues by name, with how many jobs of each state they have."""
    del visit
    return read_queues_page(board.source, after or "")


@router.get("/queues/{queue}", tags=["queues"])
def queue(board: TheBoard, visit: Visitor, queue: QueueName) -> QueueLook:
    """One queue."""
    del visit
    check_queue(board.source, queue)
    return read_queue(board.source, queue)


@router.get("/queues/{queue}/jobs", tags=["jobs"])
def jobs(
    board: TheBoard,
    visit: Visitor,
    queue: QueueName,
    state: Listed = Listed.READY,
    job: Word = None,
    organization_id: Word = None,
    error: Word = None,
    cursor: Cursor = None,
    limit: Limit = JOBS_ON_A_PAGE,
) -> Page:
    """A page of a queue's jobs in one state. With a filter it may be empty and have a cursor all the same."""
    del visit
    check_queue(board.source, queue)
    try:
        return read_jobs(
            board.source,
            queue,
            state,
            job=job,
            organization_id=organization_id,
            error=error,
            cursor=cursor,
            limit=limit,
        )
    except ValueError as problem:
        raise Invalid(str(problem)) from problem


@router.get("/queues/{queue}/jobs/{job_id:path}", tags=["jobs"])
def job(board: TheBoard, visit: Visitor, queue: QueueName, job_id: JobId) -> JobDetail:
    """One job whole: payload, options, attempts, error, traceback, trace id."""
    del visit
    return find_job(board.source, job_id, queue)


@router.get("/dead-letters", tags=["jobs"])
def dead_letters(
    board: TheBoard,
    visit: Visitor,
    before_ms: Annotated[int | None, Query(ge=0, le=MOST_MS)] = None,
) -> DeadLetterList:
    """Dead letters of all queues, the last first."""
    del visit
    return read_dead_letters(board.source, before_ms=before_ms)


@router.get("/schedules", tags=["schedules"])
def schedules(board: TheBoard, visit: Visitor) -> ScheduleList:
    """Every schedule, with its last tick and its next."""
    del visit
    return read_schedules(board.source)


@router.get("/pools", tags=["pools"])
def pools(board: TheBoard, visit: Visitor) -> tuple[PoolLook, ...]:
    """Pools as the operator tells of them, with the last of their history."""
    del visit
    return read_pools(board.source)


@router.get("/pools/{namespace}/{name}", tags=["pools"])
def pool(board: TheBoard, visit: Visitor, pool: PoolName) -> PoolLook:
    """One pool: replicas, decision and reason, pin."""
    del visit
    return find_pool(board.source, pool)


@router.get("/pools/{namespace}/{name}/history", tags=["pools"])
def history(
    board: TheBoard,
    visit: Visitor,
    pool: PoolName,
    hours: Annotated[float, Query(gt=0, le=24)] = HISTORY_HOURS,
) -> History:
    """Backlog, wait and replicas over the last hours, with each decision and its reason."""
    del visit
    find_pool(board.source, pool)
    return read_history(board.source, pool, hours)


@router.get("/pools/{namespace}/{name}/workers", tags=["pools"])
def workers(board: TheBoard, visit: Visitor, pool: PoolName) -> Workers:
    """The pool's workers, with what they run and since when."""
    del visit
    return read_workers(board.source, pool, find_pool(board.source, pool).record.queues)
