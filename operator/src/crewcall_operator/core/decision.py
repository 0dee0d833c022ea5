"""The decision: how many replicas a pool shall have, and why. `decide` takes it.

Pure values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


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
