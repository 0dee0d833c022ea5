"""What can be done from the board: the only part of it that changes anything but sessions.

Each action is refused to viewers, and to everybody where the board is read only; and each is noted, refused or not: see
`audit`. What is done is in `crewcall_worker.queues`, as the command line does it. Jobs are named by what `reading.jobs`
calls their `id_of`. What takes all of many goes some way in one call, and tells how to go on.

Every call may raise `Forbidden`, `NotThere`, `Conflict` and `redis.RedisError`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from crewcall_worker import wire
from crewcall_worker.board.audit import Audit, Outcome, one_line
from crewcall_worker.board.doors import Visit
from crewcall_worker.board.finding import check_queue, find_pool, no_job
from crewcall_worker.board.problems import Conflict, Forbidden, NotThere, Refusal
from crewcall_worker.board.reading.source import Source
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues.dead_letters import DeadLetters
from crewcall_worker.queues.delayed_jobs import DelayedJobs
from crewcall_worker.queues.drains import Drains
from crewcall_worker.queues.pauses import Pause, Pauses
from crewcall_worker.queues.pins import Pins
from crewcall_worker.queues.removal import Removal
from crewcall_worker.queues.schedules import Contested
from crewcall_worker.queues.views import ANY, Filter, JobState, JobView, Views

MOST_REPLICAS = 100_000
WITHIN = 2.0
"""Seconds for one call about many jobs; each of its steps takes Redis a millisecond or two."""


@dataclass(frozen=True, slots=True)
class Some:
    """How far an action on many jobs came: `done` in this call, `left` to be looked at yet. With `cursor` one goes on,
    None where it is through."""

    done: int
    left: int
    cursor: str | None


class Actions:
    """Those of one namespace, for whoever visits."""

    def __init__(
        self,
        broker: CrewcallBroker,
        source: Source,
        audit: Audit,
        *,
        is_read_only: bool = False,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_read_only = is_read_only
        #: With all that there is of a job: whoever acts goes by its options, which may not be for eyes.
        self._jobs = Views(source.client, source.namespace)
        self._source = source
        self._audit = audit
        self._steady = steady
        self._pauses = Pauses(source.client, source.namespace)
        self._pins = Pins(source.client, source.namespace)
        self._drains = Drains(source.client, source.namespace)
        self._dead = DeadLetters(broker, show=source.hide.of_job)
        self._delayed = DelayedJobs(broker)
        self._removal = Removal(source.client, source.namespace)

    def may_act(self, visit: Visit) -> bool:
        """Whether a page is to offer actions to this visitor at all."""
        return visit.person.may_act and not self.is_read_only

    def pause(self, visit: Visit, queue: str, reason: str = "") -> Pause:
        """Nobody fetches from the queue any more, until it is resumed. What runs goes on to its end."""
        reason = one_line(reason)
        with self._noted(visit, "pause", f"queue {queue}", reason):
            check_queue(self._source, queue)
            return self._pauses.pause(queue, by=visit.person.subject, reason=reason)

    def resume(self, visit: Visit, queue: str) -> Pause | None:
        """Let the queue go on; the pause that this ends, None where there was none."""
        with self._noted(visit, "resume", f"queue {queue}"):
            check_queue(self._source, queue)
            return self._pauses.resume(queue, by=visit.person.subject)

    def retry(self, visit: Visit, queue: str, job_id: str) -> None:
        """Try a dead letter anew, from its first try; or a failed job that waits for its next try, now."""
        with self._noted(visit, "retry", f"job {job_id} of queue {queue}"):
            job = self._job(queue, job_id)
            if job.state is JobState.DEAD:
                done = self._dead.retry(queue, [job.message_id])
                if done.unreadable:
                    raise Conflict(f"job {job_id} cannot be read, and so not be run")
                if not done.done:
                    raise NotThere(f"job {job_id} is dead no longer; somebody was quicker")
            elif job.state is JobState.DELAYED and job.attempt > 1:
                self._hurry(queue, job)
            else:
                raise Conflict(f"job {job_id} is {job.state}; only a dead or failed one can be retried")

    def retry_all(self, visit: Visit, queue: str, like: Filter = ANY, cursor: str | None = None) -> Some:
        """Try all dead letters of a queue anew that are like this, as many as two seconds are enough for.

        Raises `ValueError` where the cursor is none that was told.
        """

        def step(place: str | None) -> Some:
            some = self._dead.retry_some(queue, like, place)
            return Some(some.done, some.left, some.cursor)

        return self._some(visit, "retry all", f"dead letters of queue {queue}", _words(like), queue, cursor, step)

    def run_now(self, visit: Visit, queue: str, job_id: str) -> None:
        """Have a delayed job run as soon as a worker is free."""
        with self._noted(visit, "run now", f"job {job_id} of queue {queue}"):
            job = self._job(queue, job_id)
            if job.state is not JobState.DELAYED:
                raise Conflict(f"job {job_id} is {job.state}; only a delayed one can be run ahead of its time")
            self._hurry(queue, job)

    def remove(self, visit: Visit, queue: str, job_id: str) -> None:
        """Take a job that no worker has out of Redis, for good."""
        with self._noted(visit, "remove", f"job {job_id} of queue {queue}"):
            job = self._job(queue, job_id)
            try:
                is_done = self._removal.remove(job)
            except (ValueError, Contested) as error:
                raise Conflict(str(error)) from error
            if not is_done:
                raise NotThere(f"job {job_id} is {job.state} no longer; it moved on meanwhile")

    def purge(self, visit: Visit, queue: str, state: JobState, cursor: str | None = None) -> Some:
        """Take all jobs of a queue in this state out of Redis, for good, as many as two seconds are enough for.

        Raises `ValueError` where the cursor is none that was told, or no job of that state may be taken.
        """

        def step(place: str | None) -> Some:
            purged = self._removal.purge(queue, state, place)
            return Some(purged.removed, purged.left, purged.cursor)

        return self._some(visit, "purge", f"{state} jobs of queue {queue}", "", queue, cursor, step)

    def pin(self, visit: Visit, pool: str, replicas: int) -> wire.Pin:
        """Hold the pool at so many replicas, within its bounds, until it is unpinned."""
        with self._noted(visit, "pin", f"pool {pool}", f"to {replicas} replicas"):
            if not 0 <= replicas <= MOST_REPLICAS:
                raise Conflict(f"replicas is {replicas}; expected 0 to {MOST_REPLICAS}")
            most = find_pool(self._source, pool).record.max_replicas
            if most and replicas > most:
                raise Conflict(f"replicas is {replicas}; pool {pool} has {most} at most, by its spec")
            return self._pins.pin(pool, replicas, by=visit.person.subject)

    def unpin(self, visit: Visit, pool: str) -> bool:
        """Let the load decide again; false where it was not pinned here."""
        with self._noted(visit, "unpin", f"pool {pool}"):
            was = self._pins.unpin(pool, by=visit.person.subject)
            if not was:
                find_pool(self._source, pool)
            return was

    def drain(self, visit: Visit, pool: str, worker: str) -> wire.Asked:
        """Have a worker finish what it runs, and take nothing more."""
        with self._noted(visit, "drain", f"worker {worker} of pool {pool}"):
            asked = self._drains.ask(pool, worker, by=visit.person.subject)
            if asked is None:
                raise NotThere(f"pool {pool} has no worker {worker}")
            return asked

    def withdraw(self, visit: Visit, pool: str, worker: str) -> bool:
        """Let a worker that was asked to drain work on; false where it was not."""
        with self._noted(visit, "withdraw", f"worker {worker} of pool {pool}"):
            return self._drains.withdraw(pool, worker, by=visit.person.subject)

    def _hurry(self, queue: str, job: JobView) -> None:
        try:
            is_done = self._delayed.run_now(queue, job.message_id)
        except ValueError as error:
            raise Conflict(str(error)) from error
        if not is_done:
            raise NotThere(f"job {job.id} is delayed no longer; it moved on meanwhile")

    def _job(self, queue: str, job_id: str) -> JobView:
        check_queue(self._source, queue)
        job = self._jobs.find(job_id, queue)
        if job is None:
            raise no_job(job_id, queue)
        return job

    def _some(
        self,
        visit: Visit,
        action: str,
        target: str,
        detail: str,
        queue: str,
        cursor: str | None,
        step: Callable[[str | None], Some],
    ) -> Some:
        """As many steps as there is time for; what they came to is noted, however far they get."""
        done, left = 0, 0
        with self._noted(visit, action, target, detail, lambda: f"{done} done, {left} left"):
            check_queue(self._source, queue)
            until = self._steady() + WITHIN
            while True:
                some = step(cursor)
                done, left, cursor = done + some.done, some.left, some.cursor
                if cursor is None or self._steady() >= until:
                    return Some(done, left, cursor)

    @contextmanager
    def _noted(
        self, visit: Visit, action: str, target: str, detail: str = "", came_to: Callable[[], str] | None = None
    ) -> Iterator[None]:
        """What is done within is noted with its outcome, and is not begun by whom it is not for."""

        def note(outcome: Outcome, *words: str) -> None:
            told = "; ".join(word for word in words if word)
            self._audit.note(visit.person.subject, action, target, outcome, detail=told, address=visit.address)

        if self.is_read_only:
            note(Outcome.REFUSED, "the board is read only")
            raise Forbidden("this board is read only")
        if not visit.person.may_act:
            note(Outcome.REFUSED, f"the role is {visit.person.role}")
            raise Forbidden(f"{visit.person.subject} is a {visit.person.role}; this takes the role operator")
        outcome, why = Outcome.FAILED, "the board failed, so it may have been done"
        try:
            yield
            outcome, why = Outcome.DONE, ""
        except (Refusal, ValueError) as error:
            why, came_to = str(error), None
            raise
        except redis.RedisError:
            why = "Redis did not answer, so it may have been done"
            raise
        finally:
            note(outcome, detail, why, came_to() if came_to else "")


def _words(like: Filter) -> str:
    told = {"job": like.job, "organisation": like.organization_id, "error": like.error}
    return ", ".join(f"{name} {value!r}" for name, value in told.items() if value)
