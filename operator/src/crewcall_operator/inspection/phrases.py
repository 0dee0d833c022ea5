"""What each step of a decision did, in the words of the spec that made it do so. Pure."""

from __future__ import annotations

from typing import Final

from crewcall_operator.core.policy import BacklogPerReplica, Policy

_PHRASES: Final = {
    "Activated": "{target} asks for",
    "BacklogDrain": "{target} asks for",
    "BacklogFell": "{target} asks for",
    "SteadyLoad": "{target} asks for",
    "Idle": "nothing is outstanding",
    "DueSoon": "a delayed job is due soon",
    "Cooldown": "cooldown {cooldown} keeps",
    "WithinTolerance": "within tolerance of {target}",
    "ScaleUpStabilized": "lowest need of the last {up}",
    "ScaleDownStabilized": "highest need of the last {down}",
    "ScaleUpLimit": "behavior.scaleUp allows",
    "ScaleDownLimit": "behavior.scaleDown allows",
    "TooFewReplicas": "minReplicas",
    "TooManyReplicas": "maxReplicas",
    "PodsUnschedulable": "more would find no node",
    "DownstreamSaturated": "more would bring no more",
    "Scheduled": "a schedule asks for",
    "Pinned": "pinned by {pin}",
    "Paused": "mode is Paused",
    "WorkersUnread": "what workers run is unknown: hold",
    "RedisUnavailable": "Redis is silent: hold",
    "Fallback": "Redis is silent: fallback",
    "TargetNotAvailable": "the counters cannot be read: hold",
}


def phrase(reason: str, policy: Policy | None) -> str:
    """What a step of this reason did; empty for one that this version does not know. None: the spec is not known."""
    if policy is None:
        return ""
    rules = policy.behavior
    return _PHRASES.get(reason, "").format(
        target=target(policy),
        pin="hand" if policy.pinned is None else policy.pinned_by,
        cooldown=span(policy.cooldown),
        up=span(rules.scale_up.stabilization),
        down=span(rules.scale_down.stabilization),
    )


def target(policy: Policy) -> str:
    """What the pool is sized for, as its spec says it."""
    if isinstance(policy.target, BacklogPerReplica):
        return f"backlogPerReplica {policy.target.jobs:g}"
    return f"queueLatency {span(policy.target.seconds)}"


def limits(policy: Policy) -> str:
    """What holds for every decision of the pool."""
    return (
        f"{policy.min_replicas} to {policy.max_replicas} replicas, cooldown {span(policy.cooldown)}, "
        f"down to the most of {span(policy.behavior.scale_down.stabilization)}"
    )


def span(seconds: float) -> str:
    """A time that somebody wrote down, in the largest unit that leaves it whole: 30s, 2m, 1h."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
