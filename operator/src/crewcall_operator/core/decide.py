"""Decide: from what was seen and remembered of a pool to the number of replicas it shall have, and why.

Pure: no I/O, no clock. The steps go in one order, and the last one that changed the number gives the reason:

    paused? pinned? blind?  ->  recommend  ->  keep_schedule  ->  stabilize  ->  limit_rate  ->  cool_down  ->  bound

What is not known never moves a replica: without an observation the pool keeps what it has, within its bounds, unless
its owner asked for a fallback. A schedule is known all the same, and kept; a pin is above it. Where only the workers
could not be read, no replica goes, whoever asks for it: nobody could say what it runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from crewcall_operator.core.decision import Decision, Reason, Step
from crewcall_operator.core.limits import Limit, Situation, bound, cool_down, keep_schedule, limit_rate, stabilize
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Observation
from crewcall_operator.core.policy import FallbackPolicy, Mode, Policy
from crewcall_operator.core.schedule import Schedule
from crewcall_operator.core.sizing import recommend
from crewcall_operator.core.wording import sentence

LIMITS: tuple[Limit, ...] = (keep_schedule, stabilize, limit_rate, cool_down, bound)
LIMITS_WHEN_BLIND: tuple[Limit, ...] = (keep_schedule, bound)


def decide(
    policy: Policy,
    observed: Observation | None,
    current: int,
    memory: Memory,
    now: float,
    schedule: Schedule | None = None,
) -> Decision:
    """How many replicas there shall be where `current` are. `observed` is None where Redis could not be read.

    `schedule` is the one in force by the clock on the wall, None where none is.
    """
    if observed is not None:
        memory = memory.working(observed, now)
    situation = Situation(policy, current, memory, now, schedule)
    steps = tuple(_steps(observed, situation))
    if observed is not None and not observed.knows_workers and steps[-1].replicas < current:
        steps = (*steps, Step(current, Reason.WORKERS_UNREAD))
    last = steps[-1]
    wanted = steps[0].replicas if last.reason is Reason.SCHEDULED else _asked(steps)
    message = sentence(last, wanted, observed, situation)
    return Decision(last.replicas, last.reason, message, steps)


def remember(policy: Policy, memory: Memory, observed: Observation | None, decision: Decision, now: float) -> Memory:
    """What the next decision must know of this one. A change of replicas is remembered once it is carried out."""
    if observed is None:
        memory = memory.losing_sight(now)  # nobody saw it idle: the cooldown begins anew
    else:
        memory = memory.observing(observed.outstanding, now).working(observed, now)
    if any(step.reason is Reason.SCHEDULED for step in decision.steps):
        memory = replace(memory, busy_at=now)  # the replicas of a schedule go as those of work do: after the cooldown
    return memory.recommending(_asked(decision.steps), now, policy.behavior.longest_window)


def _asked(steps: Sequence[Step]) -> int:
    """The replicas that the target asks for, or the schedule where that is more, before anything holds them back."""
    return next((step.replicas for step in steps if step.reason is Reason.SCHEDULED), steps[0].replicas)


def _steps(observed: Observation | None, at: Situation) -> Iterator[Step]:
    policy = at.policy
    if policy.mode is Mode.PAUSED:
        yield Step(at.current, Reason.PAUSED)
    elif policy.pinned is not None:
        yield from _limited(Step(policy.pinned, Reason.PINNED), at, (bound,))
    elif observed is None:
        yield from _blind(at)
    elif (
        step := recommend(
            policy,
            observed,
            at.current,
            at.memory.startups.usual,
            at.memory.flow,
            is_saturated=at.memory.saturation.verdict is not None,
        )
    ).reason is Reason.TARGET_NOT_AVAILABLE:
        yield from _limited(step, at, LIMITS_WHEN_BLIND)
    else:
        yield from _limited(step, at, LIMITS)


def _blind(at: Situation) -> Iterator[Step]:
    fallback = at.policy.fallback
    is_over = at.now - at.memory.observed_at >= fallback.after
    if fallback.policy is FallbackPolicy.REPLICAS and is_over:
        step = Step(fallback.replicas, Reason.FALLBACK)
    else:
        step = Step(at.current, Reason.REDIS_UNAVAILABLE)
    yield from _limited(step, at, LIMITS_WHEN_BLIND)


def _limited(step: Step, at: Situation, limits: tuple[Limit, ...]) -> Iterator[Step]:
    yield step
    for limit in limits:
        limited = limit(step.replicas, at)
        if limited.replicas != step.replicas:
            step = limited
            yield step
