"""Redis restarts under load, with its append-only file: every acknowledged job runs, and it is known what runs twice.

A Redis that is killed has what it has written to the file; it acknowledges no command before that, unless with
`everysec` a slow disk holds it up: then it goes on for up to two seconds (redis.io/docs/management/persistence).
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.support.job_workers import at_work
from tests.support.redis import emptied
from tests.support.waiting import DEADLINE, wait_until

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.queues import CATALOGUE, JobContext, JobType, NewJob, Payload, QueueService, job
from crewcall_worker.queues.connection import QueueUnavailable
from crewcall_worker.settings import Settings

KEYS = wire.Keys()
RESTARTS = 2
BEHIND = 2.5
"""Seconds by which the file may be behind with `everysec`, with a little to spare."""
BATCH = 10


class Count(Payload):
    number: int


@dataclass
class Load:
    """Applications that enqueue as fast as they can, and what becomes of it. Times by time.monotonic()."""

    url: str
    acknowledged: dict[str, float] = field(default_factory=dict)
    runs: list[tuple[str, float]] = field(default_factory=list)
    refused: int = 0
    job: JobType[Count] = field(init=False)
    _is_over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        def count(payload: Count, context: JobContext) -> None:
            time.sleep(0.002)
            self.runs.append((context.id, time.monotonic()))

        self.job = job("restarts.count", queue="counts")(count)
        del CATALOGUE["restarts.count"]
        self.threads = [threading.Thread(target=self._enqueue, args=(size,), daemon=True) for size in (1, 1, BATCH)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self._is_over.set()
        for thread in self.threads:
            thread.join(DEADLINE)

    def run_a_hundred(self) -> None:
        enough = len(self.runs) + 100
        wait_until(lambda: len(self.runs) >= enough, "a hundred jobs to run")

    @property
    def twice(self) -> list[str]:
        """The jobs that ran more than once."""
        return [id_ for id_, runs in Tally(id_ for id_, _ in self.runs).items() if runs > 1]

    def _enqueue(self, size: int) -> None:
        service = QueueService(Settings(redis_url=self.url))
        while not self._is_over.wait(0.01 * size):
            new = [
                NewJob(self.job, Count(organization_id=f"org-{number % 3}", number=number)) for number in range(size)
            ]
            try:
                receipts = service.enqueue_many(new)
            except QueueUnavailable:
                self.refused += 1
            else:
                now = time.monotonic()
                self.acknowledged.update({receipt.id: now for receipt in receipts})
        service.shutdown()


def end(server: EmbeddedRedis) -> None:
    """It is asked to go, and writes what it still has to write."""
    server.stop()


def kill(server: EmbeddedRedis) -> None:
    os.kill(server.pid, signal.SIGKILL)
    server.stop()


@pytest.mark.parametrize(
    ("appendfsync", "go_down", "behind"),
    [("everysec", end, 0.0), ("always", kill, 0.0), ("everysec", kill, BEHIND)],
    ids=["everysec-restarted", "always-killed", "everysec-killed"],
)
def test_every_acknowledged_job_runs_through_restarts_of_redis(
    appendfsync: str,
    go_down: Callable[[EmbeddedRedis], None],
    behind: float,
    record_property: Callable[[str, object], None],
) -> None:
    downs: list[float] = []

    with (
        EmbeddedRedis(keeps_data=True, options=("--appendfsync", appendfsync)) as server,
        emptied(server) as lent,
    ):
        load = Load(server.url)
        catalogue: dict[str, JobType[Payload]] = {load.job.name: load.job}  # type: ignore[dict-item]
        with at_work(server.url, catalogue, threads=4):
            load.start()
            for _ in range(RESTARTS):
                load.run_a_hundred()
                downs.append(time.monotonic())
                go_down(server)
                server.start()
            load.run_a_hundred()
            load.stop()
            wait_until(lambda: not lent.client.exists(KEYS.messages("counts")), "the queue to be empty")

    def may_be_missing(moment: float) -> bool:
        """Whether what was written then may not have been in the file."""
        return any(down - behind <= moment <= down for down in downs)

    ran = {id_ for id_, _ in load.runs}
    lost = [id_ for id_, at in load.acknowledged.items() if id_ not in ran and not may_be_missing(at)]
    assert lost == []
    ends = {id_: min(at for other, at in load.runs if other == id_) for id_ in load.twice}
    unexplained = {id_: at for id_, at in ends.items() if not may_be_missing(at)}
    assert unexplained == {}
    assert load.refused >= 1  # there was load while it was away
    record_property("jobs", f"{len(load.acknowledged)} acknowledged, {len(ran)} run, {len(load.twice)} of them twice")
