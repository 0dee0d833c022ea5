"""The words of a decision: what is wanted of a pool, what was seen, and what was decided.

Pure values, no behaviour beyond sums. Durations in seconds, sizes in jobs or replicas.
`Policy` comes from a WorkerPool's spec (`api.spec`), `Observation` from Redis, `Decision` from `decide`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum

from crewcall_operator.core.counters import Counters, Crew
from crewcall_operator.core.schedule import Schedule


class Mode(StrEnum):
    """What the operator may do to a pool."""

    AUTO = "Auto"
    RECOMMEND = "Recommend"
    PAUSED = "Paused"


class PolicyType(StrEnum):
    """The unit of one scaling policy, as in the HPA's `HPAScalingPolicy.type`."""

    PODS = "Pods"
    PERCENT = "Percent"


class SelectPolicy(StrEnum):
    """Which of several policies binds, as in the HPA's `HPAScalingRules.selectPolicy`."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class FallbackPolicy(StrEnum):
    """What to do once Redis has been silent for `Fallback.after`."""

    HOLD = "Hold"
    REPLICAS = "Replicas"


class OnSaturation(StrEnum):
    """What to do while more workers bring no more throughput."""

    REPORT = "Report"
    HOLD = "Hold"


class Reason(StrEnum):
    """Why a decision came out as it did. One word serves the condition, Event, metric, log and test."""

    ACTIVATED = "Activated"
    BACKLOG_DRAIN = "BacklogDrain"
    BACKLOG_FELL = "BacklogFell"
    STEADY_LOAD = "SteadyLoad"
    DUE_SOON = "DueSoon"
    IDLE = "Idle"
    COOLDOWN = "Cooldown"
    WITHIN_TOLERANCE = "WithinTolerance"
    SCALE_UP_STABILIZED = "ScaleUpStabilized"
    SCALE_DOWN_STABILIZED = "ScaleDownStabilized"
    SCALE_UP_LIMIT = "ScaleUpLimit"
    SCALE_DOWN_LIMIT = "ScaleDownLimit"
    TOO_FEW_REPLICAS = "TooFewReplicas"
    TOO_MANY_REPLICAS = "TooManyReplicas"
    PODS_UNSCHEDULABLE = "PodsUnschedulable"
    DOWNSTREAM_SATURATED = "DownstreamSaturated"
    SCHEDULED = "Scheduled"
    PINNED = "Pinned"
    PAUSED = "Paused"
    WORKERS_UNREAD = "WorkersUnread"
    REDIS_UNAVAILABLE = "RedisUnavailable"
    FALLBACK = "Fallback"
    TARGET_NOT_AVAILABLE = "TargetNotAvailable"


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue a pool works on. One of its jobs counts as `weight` jobs."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class BacklogPerReplica:
    """Keep at most `jobs` outstanding (weighted) jobs for each replica."""

    jobs: float


@dataclass(frozen=True, slots=True)
class QueueLatency:
    """Have 95 % of jobs start within `seconds` of being ready."""

    seconds: float
    on_saturation: OnSaturation = OnSaturation.REPORT


Target = BacklogPerReplica | QueueLatency


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """At most `value` pods, or `value` percent, within any `period` seconds."""

    type: PolicyType
    value: int
    period: float


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """One direction of `behavior`. With no policies the step is not limited."""

    stabilization: float = 0.0
    policies: tuple[ScalingPolicy, ...] = ()
    select: SelectPolicy = SelectPolicy.MAX
    tolerance: float = 0.1


@dataclass(frozen=True, slots=True)
class Behavior:
    """The HPA's `behavior`: same names and meaning, other defaults (up at once, down after a minute)."""

    scale_up: ScalingRules = ScalingRules()
    scale_down: ScalingRules = ScalingRules(stabilization=60.0)

    @property
    def longest_window(self) -> float:
        """For how many seconds a recommendation may matter."""
        return max(self.scale_up.stabilization, self.scale_down.stabilization)


@dataclass(frozen=True, slots=True)
class Fallback:
    """After `after` seconds without an observation: hold, or go to `replicas`."""

    after: float = 300.0
    policy: FallbackPolicy = FallbackPolicy.HOLD
    replicas: int = 0


@dataclass(frozen=True, slots=True)
class Pin:
    """Somebody, `by`, holds a pool at so many replicas by hand."""

    replicas: int
    by: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything about a pool that a decision needs to know."""

    queues: tuple[Queue, ...]
    max_replicas: int
    target: Target
    min_replicas: int = 0
    behavior: Behavior = Behavior()
    cooldown: float = 120.0
    fallback: Fallback = Fallback()
    mode: Mode = Mode.AUTO
    pinned: int | None = None
    pinned_by: str = "spec.replicas"
    schedules: tuple[Schedule, ...] = ()


def pinned(policy: Policy, pin: Pin | None) -> Policy:
    """The policy with a pin by hand; one of the spec goes before it."""
    if pin is None or policy.pinned is not None:
        return policy
    return replace(policy, pinned=pin.replicas, pinned_by=f"a pin of {pin.by}")


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


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a decision: the replicas it arrived at, and why."""

    replicas: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas there shall be, and why. `steps` retell how it came about; `message` says it in words."""

    replicas: int
    reason: Reason
    message: str = field(default="", compare=False)
    steps: tuple[Step, ...] = field(default=(), compare=False)
