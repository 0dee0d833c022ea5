"""Take jobs out of a queue for good: one by its id, or all in one state, some at a time.

What runs, or is fetched, is its worker's and stays. With a job goes all that is noted of it but its dedupe key, which
no message remembers: its like are duplicates until that expires. Nobody can undo any of this.

Every call may raise `redis.RedisError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from crewcall_worker import wire
from crewcall_worker.options import SCHEDULE
from crewcall_worker.queues.job_view import JobState, JobView, view_of
from crewcall_worker.queues.schedules import Schedules
from crewcall_worker.wire import NORMAL, Lane, lane_of

REMOVABLE = frozenset({JobState.READY, JobState.DELAYED, JobState.COMPLETED, JobState.DEAD})
CHUNK = 200
"""Jobs by one script: a millisecond or two, in which Redis serves nobody else."""
_START = ("", "", "")


@dataclass(frozen=True, slots=True)
class Purged:
    """How many went this time, and how many are left of those that there were; with `cursor` one goes on, None where
    there is nothing more to take."""

    removed: int
    left: int
    cursor: str | None


class Removal:
    """Of one namespace."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._keys = wire.Keys(namespace)
        self._namespace = namespace
        self._schedules = Schedules(client, namespace)
        self._remove = client.register_script(wire.script("remove"))
        self._purge = client.register_script(wire.script("purge"))

    def remove(self, job: JobView) -> bool:
        """Remove a job, as it was seen; false where it is not in that state any more.

        Of a schedule that is its next tick: it is left out, and the one after it planned. Raises `ValueError` where it
        is with a worker.
        """
        if job.state not in REMOVABLE:
            raise ValueError(f"job {job.id} is {job.state}: its worker has it. Drain the worker, or let it end")
        if job.is_cut:
            job = self._whole(job)
        schedule = job.options.get(SCHEDULE)
        if (
            isinstance(schedule, str)
            and job.state is JobState.DELAYED
            and self._schedules.skip(schedule, job.message_id)
        ):
            return True
        # Looked at where it waits in a lane: what has neither priority nor organisation does not.
        lane = lane_of(job.priority, job.organization_id) or Lane(NORMAL, "")
        where = (lane.name, lane.organization)
        return bool(self._remove(args=[self._namespace, job.queue, job.message_id, job.state, *where]))

    def purge(self, queue: str, state: JobState, cursor: str | None = None, most: int = CHUNK) -> Purged:
        """Remove up to `most` jobs of this state: see `lua/purge.lua` for which.

        Raises `ValueError` where the state is one of a worker's jobs, or the cursor none that was told.
        """
        if state not in REMOVABLE:
            raise ValueError(f"state is {state}; expected one of ready, delayed, completed, dead")
        answer: Any = self._purge(args=[self._namespace, wire.plain_queue(queue), state, most, *_place(cursor)])
        removed, is_more, *place = answer
        left = int(place[1] or 0)
        return Purged(int(removed), left, "/".join(wire.text(part) for part in place) if is_more else None)

    def _whole(self, job: JobView) -> JobView:
        hash_ = job.queue + {JobState.DELAYED: wire.DELAYED, JobState.DEAD: wire.DEAD}.get(job.state, "")
        text: Any = self._client.hget(self._keys.messages(hash_), job.message_id)
        return job if text is None else view_of(job.queue, job.state, job.message_id, text)


def _place(cursor: str | None) -> tuple[str, str, str]:
    if not cursor:
        return _START
    since, slash, rest = cursor.partition("/")
    left, second, scan = rest.partition("/")
    numbers = (since, left or "0", scan or "0")
    if not slash or not second or not all(it.isascii() and it.isdecimal() and len(it) < 21 for it in numbers):
        raise ValueError(f"cursor is {cursor!r}; expected what an earlier answer told")
    return since, left, scan
