"""Pools and what is seen of them, in few words, for tests of the decision and of all that carries it out.

Where a test says nothing, `policy` has the defaults of `core.policy`, and one queue named sms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from crewcall_operator.api.pool import Pool, PoolKey, RedisSource
from crewcall_operator.core.memory import Change, Memory, Recommendation
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.core.policy import (
    BacklogPerReplica,
    Behavior,
    Fallback,
    FallbackPolicy,
    Mode,
    Policy,
    PolicyType,
    Queue,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    Target,
)
from crewcall_operator.core.schedule import Schedule

#: One direction of `behavior` that holds nothing back.
FREE = ScalingRules(tolerance=0.0)


def policy(
    *,
    min: int = 0,  # noqa: A002 - the words of the resource
    max: int = 10,  # noqa: A002
    each: float = 10.0,
    target: Target | None = None,
    queues: Mapping[str, float] | None = None,
    up: ScalingRules | None = None,
    down: ScalingRules | None = None,
    cooldown: float = 120.0,
    fallback: Fallback | None = None,
    mode: Mode = Mode.AUTO,
    pinned: int | None = None,
    schedules: tuple[Schedule, ...] = (),
) -> Policy:
    """A policy that wants one replica for `each` jobs; `queues` gives weights by name."""
    return Policy(
        queues=tuple(Queue(name, weight) for name, weight in (queues or {"sms": 1.0}).items()),
        min_replicas=min,
        max_replicas=max,
        target=target or BacklogPerReplica(each),
        behavior=Behavior(scale_up=up or Behavior().scale_up, scale_down=down or Behavior().scale_down),
        cooldown=cooldown,
        fallback=fallback or Fallback(),
        mode=mode,
        pinned=pinned,
        schedules=schedules,
    )


def pool(name: str = "notifications", *, redis: str = "redis://redis:6379/0", uid: str = "", **words: Any) -> Pool:
    """A pool in the namespace shop; what is not named here goes to `policy`."""
    return Pool(
        key=PoolKey("shop", name),
        uid=uid or f"uid-of-{name}",
        generation=1,
        redis=RedisSource(redis),
        policy=policy(**words),
        deployment_ref=name,
    )


def rules(
    *policies: ScalingPolicy,
    window: float = 0.0,
    select: SelectPolicy = SelectPolicy.MAX,
    tolerance: float = 0.0,
) -> ScalingRules:
    """One direction of `behavior`; `window` is its stabilization window in seconds."""
    return ScalingRules(stabilization=window, policies=policies, select=select, tolerance=tolerance)


def pods(value: int, per: float) -> ScalingPolicy:
    return ScalingPolicy(PolicyType.PODS, value, per)


def percent(value: int, per: float) -> ScalingPolicy:
    return ScalingPolicy(PolicyType.PERCENT, value, per)


def going_to(replicas: int, after: float) -> Fallback:
    """The fallback that goes to `replicas` once Redis has been silent for `after` seconds."""
    return Fallback(after=after, policy=FallbackPolicy.REPLICAS, replicas=replicas)


def always(replicas: int, name: str = "always") -> Schedule:
    """A schedule that is in force at any time: it began this minute, and last ended on a leap day."""
    return Schedule(name, "* * * * *", "0 0 29 2 *", replicas)


def seen(ready: int = 0, in_flight: int = 0, *, name: str = "sms", oldest: float | None = None) -> Observation:
    """One look at a pool with one queue."""
    return Observation((QueueState(name, ready=ready, in_flight=in_flight, oldest_ready_age=oldest),))


def unread(look: Observation) -> Observation:
    """The same look, where what the workers tell of themselves could not be read."""
    return replace(look, unread=("workers are not known: no permission",), knows_workers=False)


def delayed(due_in: float, jobs: int = 1, *, due: int = 0) -> Observation:
    """One look at a pool with nothing but delayed jobs: `due` of them overdue, the first in `due_in` seconds."""
    return Observation((QueueState("sms", delayed=jobs, due=due, next_due_in=due_in),))


def memory(
    *,
    recommended: Mapping[float, int] | None = None,
    changed: Mapping[float, int] | None = None,
    observed_at: float = 0.0,
    busy_at: float = 0.0,
) -> Memory:
    """What is remembered: recommendations and changes by their time, oldest first; nothing, if not told."""
    return Memory(
        recommendations=tuple(Recommendation(*item) for item in (recommended or {}).items()),
        changes=tuple(Change(*item) for item in (changed or {}).items()),
        observed_at=observed_at,
        busy_at=busy_at,
    )
