"""What a request names, found; or a refusal that says what is not there, in the same words to all.

Pages, the API and `actions` find by it. What is found comes out of `reading`. Every call may raise `NotThere` and
`redis.RedisError`.
"""

from __future__ import annotations

from crewcall_worker.board.problems import NotThere
from crewcall_worker.board.reading.jobs import JobDetail, read_job
from crewcall_worker.board.reading.pools import PoolLook, read_pool
from crewcall_worker.board.reading.queues import is_known
from crewcall_worker.board.reading.source import Source


def check_queue(source: Source, queue: str) -> None:
    """That there is this queue."""
    if not is_known(source, queue):
        raise NotThere(f"there is no queue {queue}: nobody has enqueued into it yet")


def find_pool(source: Source, pool: str) -> PoolLook:
    """One pool."""
    found = read_pool(source, pool)
    if found is None:
        raise NotThere(f"there is no pool {pool}: no operator has told of it for a day")
    return found


def find_job(source: Source, job_id: str, queue: str = "") -> JobDetail:
    """One job of this queue, or of any."""
    found = read_job(source, job_id, queue or None)
    if found is None:
        raise no_job(job_id, queue)
    return found


def no_job(job_id: str, queue: str = "") -> NotThere:
    """That there is no such job, and why it may be gone."""
    place = f"queue {queue} has" if queue else "there is"
    return NotThere(
        f"{place} no job {job_id}: of jobs that are done the last ones are kept for a day, of plain actors' none; dead "
        "letters for a week"
    )
