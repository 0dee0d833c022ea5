"""The policy: what is wanted of a pool, as its owner wrote it.

Pure values. Durations in seconds, sizes in jobs or replicas. `api.spec` makes one of a WorkerPool's spec.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from crewcall_operator.core.pin import Pin
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
