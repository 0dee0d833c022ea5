"""What the API does. Each takes the role operator, and is noted in the audit. What cannot be undone says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter, status

from crewcall_worker import wire
from crewcall_worker.board.actions import Some
from crewcall_worker.board.api.asked import (
    JobId,
    PauseRequest,
    PinRequest,
    PoolName,
    PurgeRequest,
    QueueName,
    RetryRequest,
    WorkerId,
)
from crewcall_worker.board.problems import Invalid
from crewcall_worker.board.visits import Acting, TheBoard
from crewcall_worker.queues.pauses import Pause
from crewcall_worker.queues.views import Filter

router = APIRouter()

DONE = status.HTTP_204_NO_CONTENT


@router.post("/queues/{queue}/pause", tags=["queues"])
def pause(board: TheBoard, visit: Acting, queue: QueueName, asked: PauseRequest) -> Pause:
    """Have nobody fetch from the queue. What runs goes on to its end, what is sent waits."""
    return board.actions.pause(visit, queue, asked.reason)


@router.post("/queues/{queue}/resume", tags=["queues"], status_code=DONE)
def resume(board: TheBoard, visit: Acting, queue: QueueName) -> None:
    """Let the queue go on."""
    board.actions.resume(visit, queue)


@router.post("/queues/{queue}/retry-all", tags=["queues"])
def retry_all(board: TheBoard, visit: Acting, queue: QueueName, asked: RetryRequest) -> Some:
    """Try all dead letters anew that are like this. Ends after two seconds: ask again until the cursor is null."""
    like = Filter(asked.job or None, asked.organization_id or None, asked.error or None)
    with _understood():
        return board.actions.retry_all(visit, queue, like, asked.cursor or None)


@router.post("/queues/{queue}/purge", tags=["queues"])
def purge(board: TheBoard, visit: Acting, queue: QueueName, asked: PurgeRequest) -> Some:
    """Take all jobs in this state out of Redis. This cannot be undone. Ends after two seconds, as `retry-all` does."""
    with _understood():
        return board.actions.purge(visit, queue, asked.state, asked.cursor or None)


@router.post("/queues/{queue}/jobs/{job_id:path}/retry", tags=["jobs"], status_code=DONE)
def retry(board: TheBoard, visit: Acting, queue: QueueName, job_id: JobId) -> None:
    """Try a dead letter anew, from its first try; or a failed job now, rather than when its next try is due."""
    board.actions.retry(visit, queue, job_id)


@router.post("/queues/{queue}/jobs/{job_id:path}/run-now", tags=["jobs"], status_code=DONE)
def run_now(board: TheBoard, visit: Acting, queue: QueueName, job_id: JobId) -> None:
    """Have a delayed job run as soon as a worker is free."""
    board.actions.run_now(visit, queue, job_id)


@router.delete("/queues/{queue}/jobs/{job_id:path}", tags=["jobs"], status_code=DONE)
def remove(board: TheBoard, visit: Acting, queue: QueueName, job_id: JobId) -> None:
    """Take a job that no worker has out of Redis. This cannot be undone."""
    board.actions.remove(visit, queue, job_id)


@router.put("/pools/{namespace}/{name}/pin", tags=["pools"])
def pin(board: TheBoard, visit: Acting, pool: PoolName, asked: PinRequest) -> wire.Pin:
    """Hold the pool at so many replicas, within its bounds, until it is unpinned."""
    return board.actions.pin(visit, pool, asked.replicas)


@router.delete("/pools/{namespace}/{name}/pin", tags=["pools"], status_code=DONE)
def unpin(board: TheBoard, visit: Acting, pool: PoolName) -> None:
    """Let the load decide again."""
    board.actions.unpin(visit, pool)


@router.put("/pools/{namespace}/{name}/workers/{worker}/drain", tags=["pools"])
def drain(board: TheBoard, visit: Acting, pool: PoolName, worker: WorkerId) -> wire.Asked:
    """Have a worker finish what it runs, give back what it has prefetched, and take nothing more."""
    return board.actions.drain(visit, pool, worker)


@router.delete("/pools/{namespace}/{name}/workers/{worker}/drain", tags=["pools"], status_code=DONE)
def withdraw(board: TheBoard, visit: Acting, pool: PoolName, worker: WorkerId) -> None:
    """Let a worker that was asked to drain work on."""
    board.actions.withdraw(visit, pool, worker)


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise Invalid(str(error)) from error
