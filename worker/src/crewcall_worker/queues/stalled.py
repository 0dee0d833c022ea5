"""Jobs that run for longer than their type expects: told once, in the log, the metrics and the worker's record.

Nothing is done to them: a job's `time_limit` ends it, and a worker that is dead loses its jobs to others anyway. It is
told for people: something hangs, or `stalled_after` is too short.
"""

from __future__ import annotations

import logging
from collections import Counter as Tally
from collections.abc import Callable, Iterable

from crewcall_worker.options import ORGANIZATION
from crewcall_worker.queues.job import JobType
from crewcall_worker.queues.payload import Payload
from crewcall_worker.queues.running import Run
from crewcall_worker.tracing import trace_id_of

log = logging.getLogger(__name__)


class Stalled:
    """What one worker knows of its stalled jobs. `look` is for one thread; anybody may read the rest."""

    def __init__(self, job_of: Callable[[str], JobType[Payload] | None]) -> None:
        self._job_of = job_of
        self._told: dict[str, str] = {}  # redis_message_id -> queue
        self._totals: Tally[str] = Tally()

    @property
    def count(self) -> int:
        """How many jobs are stalled now."""
        return len(self._told)

    def now(self) -> dict[str, int]:
        """How many jobs are stalled now, by queue; 0 where there were any before."""
        queues = list(self._told.values())
        return {queue: queues.count(queue) for queue in self.totals()}

    def totals(self) -> dict[str, int]:
        """How many jobs were ever found stalled by this process, by queue."""
        return dict(self._totals)

    def look(self, runs: Iterable[Run], now: float) -> None:
        """Find those that are stalled at `now`, by the clock that `Run.began` is of."""
        stalled = {run.redis_id: run for run in runs if self._is_stalled(run, now)}
        for redis_id, run in stalled.items():
            if redis_id not in self._told:
                self._totals[run.queue] += 1
                log.warning(
                    "Job %s of %s (queue %s, organisation %s) has been running for %.0f s and is taken for stalled",
                    run.message.message_id,
                    run.message.actor_name,
                    run.queue,
                    run.message.options.get(ORGANIZATION, "none"),
                    now - run.began,
                    extra=_known(run),
                )
        self._told = {redis_id: run.queue for redis_id, run in stalled.items()}

    def _is_stalled(self, run: Run, now: float) -> bool:
        job = self._job_of(run.message.actor_name)
        return job is not None and now - run.began > job.stalled_after


def _known(run: Run) -> dict[str, str]:
    """The fields that every line has which the job itself writes: this one is written outside of its thread."""
    message = run.message
    fields = {
        "job": message.actor_name,
        "job_id": message.message_id,
        "queue": run.queue,
        "organization": message.options.get(ORGANIZATION),
        "trace_id": trace_id_of(message),
    }
    return {name: value for name, value in fields.items() if value is not None}
