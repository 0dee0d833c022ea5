"""One worker, in this very process: started, then drained when asked, and the exit status says how that went.

As process 1 of a container it gets the container's signals itself. The first SIGTERM or SIGINT drains: running jobs
finish within the shutdown timeout, prefetched ones go back to their queues. A second one ends at once. What this
module leaves to Dramatiq: fetching, heartbeats, acknowledging, and running the jobs.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from types import FrameType

import dramatiq
from dramatiq.middleware import Middleware

from crewcall_worker.broker import make_broker, wait_for_redis
from crewcall_worker.errors import JobsUnavailable
from crewcall_worker.settings import Settings

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
FINISHED, CUT_OFF = 0, 1
# Consumers look up from Redis at least every second, every three while it is away.
CONSUMERS_STOP_WITHIN_MS = 4000

log = logging.getLogger(__name__)


def run(settings: Settings, modules: Sequence[str]) -> int:
    """Work on the queues until told to stop; the exit status: 0 where every job that was begun is finished.

    Raises `JobsUnavailable` and `RedisRefused`.
    """
    _on_stop(_leave_before_the_start)
    dramatiq.set_broker(make_broker(settings))
    _import(modules)
    broker = dramatiq.get_broker()  # a module may have brought its own
    queues = _queues(settings, broker, modules)
    wait_for_redis(settings, time.sleep)

    # A plain queue, for its `put` may be called from a signal handler; Event.set() may not: it can lock up.
    asked: SimpleQueue[int] = SimpleQueue()
    _on_stop(lambda number, _frame: asked.put(number))
    worker = dramatiq.Worker(broker, queues=set(queues), worker_threads=settings.threads)
    broker.emit_after("process_boot")
    worker.start()
    log.info(
        "Working on %s of Redis %s (namespace %s), %d jobs at once",
        ", ".join(queues),
        settings.redis_endpoint,
        settings.redis_namespace,
        settings.threads,
    )
    number = asked.get()
    _on_stop(_leave_at_once)
    return _drain(worker, settings.shutdown_timeout, signal.Signals(number).name)


def _drain(worker: dramatiq.Worker, timeout: float, signal_name: str) -> int:
    log.info("%s: finishing the running jobs within %g s; a second signal ends at once", signal_name, timeout)
    patience = _Patience(timeout)
    worker.broker.add_middleware(patience)
    worker.stop(timeout=CONSUMERS_STOP_WITHIN_MS)
    if patience.cut_off:
        log.error(
            "%d jobs were still running after %g s. They are not acknowledged: another worker runs them again. "
            "Where jobs take longer, give the pool a longer drain.gracePeriod.",
            patience.cut_off,
            timeout,
        )
        # A plain exit would wait for whatever threads the jobs themselves have started.
        _exit(CUT_OFF)
    worker.broker.close()
    log.info("Drained: all jobs that were begun are finished")
    return FINISHED


@dataclass(eq=False, slots=True)
class _Patience(Middleware):
    """Waits `timeout` seconds for the running jobs, all of it for each of them; then `cut_off` of them still run.

    Dramatiq's own stop() joins its threads one after the other and at each takes the time since the first join off
    the timeout: jobs that end one by one leave less and less to the others (dramatiq/common.py, join_all).
    Being the last middleware, this one comes after jobs that want to know of the shutdown have been told.
    """

    timeout: float
    cut_off: int = 0

    def before_worker_shutdown(self, _broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        deadline = time.monotonic() + self.timeout
        for thread in worker.workers:
            thread.stop()
        for thread in worker.workers:
            thread.join(max(0.0, deadline - time.monotonic()))
        running = [thread for thread in worker.workers if thread.is_alive()]
        self.cut_off = len(running)
        # stop() shall not wait for them once more: what is left of the grace period is for handing back the others.
        worker.workers = [thread for thread in worker.workers if thread not in running]


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise  # a module that this one needs: a defect of the jobs, told with its traceback
            raise JobsUnavailable(
                f"There is no job module {module!r}: {error}. Name it as in Python's import; see --path."
            ) from error


def _queues(settings: Settings, broker: dramatiq.Broker, modules: Sequence[str]) -> list[str]:
    """The queues to consume. One that no actor works on would never be emptied."""
    worked_on = sorted(broker.get_declared_queues())
    idle = [queue for queue in settings.queues if queue not in worked_on]
    queues = [queue for queue in settings.queues or worked_on if queue in worked_on]
    if not queues:
        wanted = f" on {', '.join(settings.queues)}" if settings.queues else ""
        there = f"; their queues are {', '.join(worked_on)}" if worked_on else ""
        raise JobsUnavailable(f"No actor in {', '.join(modules)} works{wanted}{there}.")
    if idle:
        log.warning("No actor in %s works on %s: its jobs stay where they are", ", ".join(modules), ", ".join(idle))
    return queues


def _on_stop(handler: Callable[[int, FrameType | None], object]) -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, handler)


def _leave_before_the_start(number: int, _frame: FrameType | None) -> None:
    log.info("%s before any job was begun", signal.Signals(number).name)
    _exit(FINISHED)


def _leave_at_once(number: int, _frame: FrameType | None) -> None:
    log.error("Second %s: ending at once; jobs that were running will be run again", signal.Signals(number).name)
    _exit(CUT_OFF)


def _exit(status: int) -> None:
    logging.shutdown()
    os._exit(status)
