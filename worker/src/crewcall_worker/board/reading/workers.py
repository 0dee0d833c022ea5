"""The workers of a pool, by what they tell of themselves, and the jobs that each of them runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crewcall_worker import wire
from crewcall_worker.board.reading.source import Source
from crewcall_worker.queues.views import JobState, JobView
from crewcall_worker.wire import text

MOST_RUNNING = 50
"""Running jobs of each queue that are looked at, the longest first."""
MOST_QUEUES = 20
SILENT_AFTER_MS = 5_000


@dataclass(frozen=True, slots=True)
class WorkerLook:
    """One worker. `silent_ms`: since it last told of itself. `asked_by`: who asked it to drain, by the board or the
    command line; `is_ordered`: the operator asked its pod to. `problem`: why its record cannot be read."""

    worker: str
    record: wire.WorkerRecord
    jobs: tuple[JobView, ...] = ()
    silent_ms: int | None = None
    is_ordered: bool = False
    asked: wire.Asked | None = None
    problem: str = ""

    @property
    def is_silent(self) -> bool:
        """Whether it missed several of its turns to tell."""
        return self.silent_ms is not None and self.silent_ms > SILENT_AFTER_MS


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers of a pool, by name; jobs that run are told within a second, shorter ones seldom."""

    pool: str
    now_ms: int
    workers: tuple[WorkerLook, ...]

    @property
    def busy(self) -> int:
        """Jobs that run in all of them."""
        return sum(it.record.busy or 0 for it in self.workers)

    @property
    def threads(self) -> int:
        """How many jobs they could run at once."""
        return sum(it.record.threads or 0 for it in self.workers)


def read_workers(source: Source, pool: str, queues: Sequence[str] = ()) -> Workers:
    """The pool's workers, with what they run of these queues: one round trip, and one for each queue."""
    keys = source.keys
    with source.client.pipeline(transaction=False) as pipeline:
        pipeline.time()
        pipeline.hgetall(keys.workers(pool))
        pipeline.hgetall(keys.orders(pool))
        pipeline.hgetall(keys.asked(pool))
        (seconds, microseconds), records, orders, asked = pipeline.execute()
    now_ms = int(seconds * 1000 + microseconds // 1000)
    ordered = {text(pod) for pod, word in orders.items() if wire.read_order(word) is wire.Order.DRAIN}
    wishes = {text(worker): wire.read_asked(text(worker), told) for worker, told in asked.items()}
    runs = _running(source, queues) if records else {}
    looks = (_look(text(worker), told, now_ms, runs, ordered, wishes) for worker, told in records.items())
    return Workers(pool, now_ms, tuple(sorted(looks, key=lambda it: (it.record.pod or "", it.worker))))


def _running(source: Source, queues: Sequence[str]) -> Mapping[str, tuple[JobView, ...]]:
    found: defaultdict[str, list[JobView]] = defaultdict(list)
    for queue in list(dict.fromkeys(queues))[:MOST_QUEUES]:
        for view in source.views.page(queue, JobState.RUNNING, limit=MOST_RUNNING).jobs:
            if view.worker:
                found[view.worker].append(view)
    return {worker: tuple(sorted(jobs, key=lambda it: it.at_ms or 0)) for worker, jobs in found.items()}


def _look(
    worker: str,
    told: str | bytes,
    now_ms: int,
    runs: Mapping[str, tuple[JobView, ...]],
    ordered: set[str],
    wishes: Mapping[str, wire.Asked],
) -> WorkerLook:
    try:
        record, problem = wire.read_worker(worker, told), ""
    except wire.UnknownRecord as error:
        record, problem = wire.WorkerRecord(worker), str(error)
    return WorkerLook(
        worker=worker,
        record=record,
        jobs=runs.get(worker, ()),
        silent_ms=None if record.at_ms is None else max(0, now_ms - record.at_ms),
        is_ordered=record.pod in ordered,
        asked=wishes.get(worker),
        problem=problem,
    )
