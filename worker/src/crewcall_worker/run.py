"""One worker, in this very process: started, then drained when asked, and the exit status says how that went.

As process 1 of a container it gets the container's signals itself. The first SIGTERM or SIGINT drains: prefetched
jobs go back to their queues at once, running ones finish within the shutdown timeout. When it is over, or a second
signal comes, those that still run are put back as well and the process ends. Running jobs is left to Dramatiq; what
is fetched, to `intake`; what an event means, to `steward`.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from types import FrameType

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware

from crewcall_worker import tracing
from crewcall_worker.broker import make_broker, wait_for_redis
from crewcall_worker.concurrency import Capacity, capacity
from crewcall_worker.errors import JobsUnavailable
from crewcall_worker.metrics import StalledMetrics, WorkerMetrics
from crewcall_worker.own_broker import place, warn_if_elsewhere
from crewcall_worker.probes import Probes
from crewcall_worker.queues.actors import declare
from crewcall_worker.queues.job import CATALOGUE
from crewcall_worker.runtime import Runtime
from crewcall_worker.settings import Settings
from crewcall_worker.states import Event, State
from crewcall_worker.steward import Steward
from crewcall_worker.wire import ENV_CONCURRENCY, ENV_QUEUES

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
SIGNALS_IN_ORDER = 2
REPEATED_WITHIN = 1.0
FINISHED, CUT_OFF = 0, 1
# Threads look up at least each second.
THREADS_STOP_WITHIN = 2.0
LEAVING = frozenset({State.STOPPING, State.STOPPED})
OVER = frozenset({State.STOPPED})

log = logging.getLogger(__name__)


def run(settings: Settings, modules: Sequence[str]) -> int:
    """Work on the queues until told to stop; the exit status: 0 where every job that was begun is finished.

    Raises `JobsUnavailable` and `RedisRefused`.
    """
    _on_stop(_leave_before_the_start)
    probes = None if settings.metrics_port is None else Probes(settings.metrics_port)
    made = make_broker(settings)
    dramatiq.set_broker(made)
    _import(modules)
    broker = _broker(modules)
    declare(broker)
    export_traces = tracing.set_up(os.environ)
    queues = _queues(settings, broker, modules)
    wait_for_redis(settings, time.sleep)
    warn_if_elsewhere(broker, made, ", ".join(modules))

    crew = _capacity(settings, broker, queues)
    runtime = Runtime(broker, settings, settings.pod or _own_name(), queues, crew)
    broker.add_middleware(_Farewell(runtime.steward))
    _on_stop(Signals(runtime.steward))
    worker = dramatiq.Worker(broker, queues=set(queues), worker_threads=crew.threads)
    broker.emit_after("process_boot")
    runtime.start()
    log.info(
        "Working on %s of Redis %s, %d jobs at once",
        crew.of(queues),
        place(broker),
        crew.threads,
    )
    worker.start()
    if probes:  # not before all goes round: a project's own hooks may take any time to start
        stalled = StalledMetrics(runtime.accounts.stalled)
        probes.show(runtime.health, WorkerMetrics(runtime.accounts.stats), runtime.jobs, stalled)
    runtime.steward.attend(until=LEAVING)
    worker.stop(timeout=round(THREADS_STOP_WITHIN * 1000))
    cut_off = len(runtime.intake.running)
    put_back = runtime.leave()
    export_traces()
    if cut_off:
        log.error(
            "%d jobs were cut off, %d of them put back: another worker runs them again. "
            "Where jobs take longer than %g s, give the pool a longer drain.gracePeriod.",
            cut_off,
            put_back,
            settings.shutdown_timeout,
        )
        # A plain exit would wait for whatever threads the jobs themselves have started.
        _exit(CUT_OFF)
    broker.close()
    log.info("Drained: all jobs that were begun are finished")
    return FINISHED


class _Farewell(Middleware):
    """Waits for the running jobs before Dramatiq stops its threads.

    Dramatiq's own stop() joins its threads one after the other and at each takes the time since the first join off
    the timeout: jobs that end one by one leave less and less to the others (dramatiq/common.py, join_all).
    Being the last middleware, this one comes after jobs that want to know of the shutdown have been told.
    """

    def __init__(self, steward: Steward) -> None:
        self._steward = steward

    def before_worker_shutdown(self, _broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        for thread in worker.workers:
            thread.stop()
        self._steward.attend(until=OVER)
        deadline = time.monotonic() + (0.0 if self._steward.is_cut_off else THREADS_STOP_WITHIN)
        for thread in worker.workers:
            thread.join(max(0.0, deadline - time.monotonic()))
        # stop() shall not wait for those that still run: what is left of the grace period is for their messages.
        worker.workers = [thread for thread in worker.workers if not thread.is_alive()]


class Signals:
    """The first one drains, the second one ends the process in order, any further one at once.

    The same one within `REPEATED_WITHIN` is no second one: a terminal signals its whole group, and a parent hands on
    what it gets; some supervisors say it twice.
    """

    def __init__(self, steward: Steward, steady: Callable[[], float] = time.monotonic) -> None:
        self._steward = steward
        self._steady = steady
        self._count = 0
        self._heard: dict[int, float] = {}

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        now = self._steady()
        if now - self._heard.get(number, -math.inf) < REPEATED_WITHIN:
            return
        self._heard[number] = now
        self._count += 1
        name = signal.Signals(number).name
        if self._count > SIGNALS_IN_ORDER:
            _exit(CUT_OFF)
        self._steward.hear(Event.SIGTERM, name if self._count == 1 else f"Second {name}")


def _broker(modules: Sequence[str]) -> RedisBroker:
    broker = dramatiq.get_broker()  # a module may have brought its own
    if not isinstance(broker, RedisBroker):
        raise JobsUnavailable(
            f"The broker of {', '.join(modules)} is a {type(broker).__name__}; Crewcall works with Dramatiq's "
            "RedisBroker. Set one, or none: then the worker makes it."
        )
    return broker


def _own_name() -> str:
    """What this worker is called where nobody has named it: a pod's host is named after the pod."""
    host, process = socket.gethostname(), os.getpid()
    return host if process == 1 else f"{host}-{process}"


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        if not all(module.split(".")):
            raise JobsUnavailable(f"{module!r} is no module's name. Name it as in Python's import, such as shop.jobs.")
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
        named = ", ".join(modules)
        if not worked_on:
            raise JobsUnavailable(f"There is no actor in {named}. Name a module with a @dramatiq.actor, as shop.jobs.")
        raise JobsUnavailable(
            f"No actor in {named} works on {', '.join(settings.queues)}; their queues are {', '.join(worked_on)}. "
            f"Correct the pool's queues ({ENV_QUEUES}), or name the module whose actors work on them."
        )
    if idle:
        log.warning("No actor in %s works on %s: its jobs stay where they are", ", ".join(modules), ", ".join(idle))
    return queues


def _capacity(settings: Settings, broker: dramatiq.Broker, queues: Sequence[str]) -> Capacity:
    unknown = [queue for queue in settings.concurrency if queue not in broker.get_declared_queues()]
    if unknown:
        log.warning("%s names %s, which no actor here works on", ENV_CONCURRENCY, ", ".join(unknown))
    defaults = ((kind.queue, kind.concurrency) for kind in CATALOGUE.values())
    return capacity(queues, defaults, settings.concurrency, settings.threads)


def _on_stop(handler: Callable[[int, FrameType | None], object]) -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, handler)


def _leave_before_the_start(number: int, _frame: FrameType | None) -> None:
    log.info("%s before any job was begun", signal.Signals(number).name)
    _exit(FINISHED)


def _exit(status: int) -> None:
    logging.shutdown()
    os._exit(status)
