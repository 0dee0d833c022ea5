"""The crew: from a pool's replicas and what their workers tell to what a promise reckons with.

Pure. A replica counts as ready once its worker has told of itself, and so does one that drains: it can be called back.
Whatever else was asked for is pending: pods that start, that wait for a node, that are being made, that a rollout
replaces. Where no worker of the pool tells of itself the pods' own readiness counts, and once they have had their time
to start they are plain Dramatiq workers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set
from statistics import median_low

from crewcall_operator.core.counters import Crew
from crewcall_operator.core.observation import Fleet, Observation, Worker
from crewcall_operator.core.replica import had_its_time, heard_of

#: Jobs that a replica is thought to run at once while nobody has told: Dramatiq's own default, and the runtime's
#: (dramatiq/cli.py, --threads; crewcall_worker.settings).
USUAL_THREADS = 8


def crew_of(fleet: Fleet, observed: Observation, threads: int, startup: float, now: float) -> Crew:
    """The crew, of which each replica runs `threads` jobs at once and takes `startup` seconds to start."""
    telling = {worker.pod for worker in observed.workers}
    at_work = {worker.pod for worker in heard_of(observed.workers)}
    ready = min(_ready(fleet, at_work, telling, startup, now), fleet.current)
    return Crew(
        ready=ready,
        pending=fleet.current - ready,
        threads=threads,
        busy=_busy(observed, ready * threads),
        startup=startup,
        unschedulable=sum(pod.is_unschedulable for pod in fleet.pods or ()),
        counts=bool(telling) or not _has_plain(fleet, startup, now),
    )


def threads_told(workers: Iterable[Worker]) -> int | None:
    """The jobs that a replica runs at once, as its workers tell; None where none does.

    Of several numbers, as while a rollout changes it, the one that half of the replicas have at most.
    """
    told: Counter[str] = Counter()
    for worker in workers:
        told[worker.pod] += worker.threads or 0
    return median_low(found) if (found := [threads for threads in told.values() if threads]) else None


def _ready(fleet: Fleet, at_work: Set[str], telling: Set[str], startup: float, now: float) -> int:
    if not fleet.pods or not telling:
        return fleet.ready  # pods cannot be told apart, or there is nothing to tell them by
    # One that is ready for long and has never told anything is plain: beside others that tell it works all the same.
    return sum(it.name in at_work or (it.name not in telling and had_its_time(it, startup, now)) for it in fleet.pods)


def _has_plain(fleet: Fleet, startup: float, now: float) -> bool:
    """Of pods that all tell nothing."""
    if not fleet.pods:
        return fleet.ready > 0
    return any(had_its_time(pod, startup, now) for pod in fleet.pods)


def _busy(observed: Observation, capacity: int) -> int:
    """Jobs that run now. A worker tells once a second; what it has fetched since it runs if it has a thread free."""
    told = sum(worker.busy for worker in observed.workers)
    held_back = sum(worker.prefetched for worker in observed.workers)
    return max(0, min(max(told, observed.in_flight - held_back), observed.in_flight, capacity))
