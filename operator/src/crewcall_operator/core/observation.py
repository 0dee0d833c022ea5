"""The observation: what was seen of a pool at one look, in Redis and where its replicas run.

Pure values, no behaviour beyond sums. Durations in seconds, sizes in jobs or replicas. What could not be read is None,
or said to be unknown: it is never zero. An `Observation` comes from Redis, a `Fleet` from the cluster or the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from crewcall_operator.core.counters import Counters, Crew
from crewcall_operator.core.pin import Pin


class WorkerState(StrEnum):
    """How a worker stands to new work; a drained one holds no job at all."""

    RUNNING = "running"
    DRAINING = "draining"
    DRAINED = "drained"


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue at one moment, in jobs; the age in seconds, None where no job is ready or its age is unreadable.

    Of the delayed jobs `due` should be ready by now, and wait for a worker that moves them. The first of all delayed is
    due in `next_due_in` seconds, 0 where it is overdue, None where there is none. `due_soon`
    will be before a new replica could have started. Of the ready jobs `limited` wait until their organisation has fewer
    in flight. Nobody fetches from a queue that `is_paused`.
    """

    name: str
    ready: int = 0
    in_flight: int = 0
    delayed: int = 0
    dead: int = 0
    oldest_ready_age: float | None = None
    is_known: bool = True
    due: int = 0
    next_due_in: float | None = None
    due_soon: int = 0
    counters: Counters | None = None
    limited: int = 0
    is_paused: bool = False

    @property
    def outstanding(self) -> int:
        """Jobs fetched and not acknowledged, and those ready or due that a worker may fetch: work for somebody, now."""
        return self.in_flight + (0 if self.is_paused else max(0, self.ready - self.limited) + self.due)

    @property
    def coming(self) -> int:
        """Jobs that are due soon and may be fetched then."""
        return 0 if self.is_paused else self.due_soon


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as it told of itself, `silent_for` seconds ago. `pod` is the replica it runs in.

    `busy` jobs run in its threads, the longest for `oldest_age` seconds (None where none runs); `prefetched` more wait
    for one. `threads` is None where it does not tell. One that `is_asked` was asked by hand to drain.
    """

    id: str
    pod: str
    state: WorkerState = WorkerState.RUNNING
    busy: int = 0
    oldest_age: float | None = None
    silent_for: float = 0.0
    threads: int | None = None
    prefetched: int = 0
    is_asked: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at one pool. A look that failed is None instead: that is never zero.

    `workers` are those with the runtime, `orders` the pods that are asked to drain. `unread` says in words what could
    not be read. Without `knows_workers` that were workers or orders: there may be more of them than are here. `pin` is
    the one by hand, which could not be read without `knows_pin`.
    """

    queues: tuple[QueueState, ...]
    workers: tuple[Worker, ...] = ()
    orders: frozenset[str] = frozenset()
    unread: tuple[str, ...] = ()
    knows_workers: bool = True
    crew: Crew | None = None
    pin: Pin | None = None
    knows_pin: bool = True

    @property
    def ready(self) -> int:
        return sum(queue.ready for queue in self.queues)

    @property
    def due(self) -> int:
        return sum(queue.due for queue in self.queues)

    @property
    def next_due_in(self) -> float | None:
        """Of queues that are fetched from."""
        times = (queue.next_due_in for queue in self.queues if not queue.is_paused)
        return min((time for time in times if time is not None), default=None)

    @property
    def in_flight(self) -> int:
        return sum(queue.in_flight for queue in self.queues)

    @property
    def outstanding(self) -> int:
        return sum(queue.outstanding for queue in self.queues)

    @property
    def paused(self) -> tuple[str, ...]:
        """The names of the queues that nobody fetches from."""
        return tuple(queue.name for queue in self.queues if queue.is_paused)

    @property
    def oldest_ready_age(self) -> float | None:
        return max(
            (queue.oldest_ready_age for queue in self.queues if queue.oldest_ready_age is not None), default=None
        )


class Phase(IntEnum):
    """How far a pod has come, in Kubernetes' words; the lower, the sooner a ReplicaSet takes it away."""

    PENDING = 0
    UNKNOWN = 1
    RUNNING = 2


@dataclass(frozen=True, slots=True)
class Pod:
    """One replica that is there and not about to end. `created` is in seconds on the engine's clock.

    `is_marked` where it was named as one to go at the next reduction of the replicas, `is_unschedulable` where no node
    has room for it. One that is ready is running.
    """

    name: str
    is_ready: bool
    created: float
    is_marked: bool = False
    phase: Phase = Phase.RUNNING
    is_unschedulable: bool = False


@dataclass(frozen=True, slots=True)
class Fleet:
    """The replicas a pool has: `current` asked of the Deployment, `ready` able to work.

    `pods` are those there are, None where that cannot be known; `gone` are names of pods that have ended for certain:
    whatever is on record of their workers is of dead ones.
    """

    current: int
    ready: int
    pods: tuple[Pod, ...] | None = None
    gone: frozenset[str] = frozenset()
