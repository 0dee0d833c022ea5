"""A whole worker in the test's own process: typed jobs run by Dramatiq's threads and Crewcall's runtime."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import dramatiq

from crewcall_worker.broker import CrewcallBroker, make_broker
from crewcall_worker.queues import JobType, Payload
from crewcall_worker.queues.actors import declare
from crewcall_worker.runtime import Runtime
from crewcall_worker.settings import Settings
from crewcall_worker.states import Event, State

STOP_WITHIN_MS = 5_000


@contextmanager
def at_work(
    url: str, jobs: Mapping[str, JobType[Payload]], threads: int = 2, settings: Settings | None = None
) -> Iterator[CrewcallBroker]:
    """A worker on these jobs, until the test leaves. It has drained by then."""
    chosen = replace(settings or Settings(redis_url=url, pool="pool", shutdown_timeout=5.0), redis_url=url)
    broker = make_broker(chosen)
    declare(broker, jobs)
    runtime = Runtime(broker, chosen, f"pod-{threading.get_ident()}", sorted(broker.get_declared_queues()))
    worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=50)
    broker.emit_after("process_boot")
    runtime.start()
    worker.start()
    try:
        yield broker
    finally:
        runtime.steward.hear(Event.SIGTERM, "The test is over")
        runtime.steward.attend(until=frozenset({State.STOPPED}))
        worker.stop(timeout=STOP_WITHIN_MS)
        runtime.leave()
        broker.close()
