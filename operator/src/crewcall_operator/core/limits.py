"""What may change a recommendation: a schedule, stabilization, rate policies, cooldown and bounds.

Pure. Each limit takes the replicas so far and answers with the replicas it allows and its reason; one that has
nothing to object answers with the same number. `stabilize` and `limit_rate` mean what the HPA's `behavior` means
(kubernetes/pkg/controller/podautoscaler/horizontal.go, stabilizeRecommendationWithBehaviors and
convertDesiredReplicasWithBehaviorRate), with two differences: a direction without policies is not limited, and
leaving zero always admits one replica, since a percentage of nothing is nothing (docs/adr/0003).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from crewcall_operator.core.decision import Reason, Step
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.policy import Policy, PolicyType, ScalingRules, SelectPolicy
from crewcall_operator.core.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Situation:
    """The replicas there are, what is remembered, the moment, and the schedule in force: all a limit may look at."""

    policy: Policy
    current: int
    memory: Memory
    now: float
    schedule: Schedule | None = None


Limit = Callable[[int, Situation], Step]


def keep_schedule(wanted: int, at: Situation) -> Step:
    """No fewer than the schedule in force asks for."""
    least = at.schedule.min_replicas if at.schedule is not None else 0
    return Step(max(wanted, least), Reason.SCHEDULED)


def stabilize(wanted: int, at: Situation) -> Step:
    """Up only to the lowest, down only to the highest recommendation of the direction's window."""
    up, down = at.policy.behavior.scale_up, at.policy.behavior.scale_down
    floor = at.memory.lowest_since(at.now - up.stabilization, at_most=wanted)
    ceiling = at.memory.highest_since(at.now - down.stabilization, at_least=wanted)
    allowed = min(max(at.current, floor), ceiling)
    return Step(allowed, Reason.SCALE_UP_STABILIZED if wanted >= at.current else Reason.SCALE_DOWN_STABILIZED)


def limit_rate(wanted: int, at: Situation) -> Step:
    """No further in one period than the direction's policies admit; bounds that are no wider hold in their place."""
    if wanted > at.current and (highest := _highest(at)) < at.policy.max_replicas:
        return Step(min(wanted, highest), Reason.SCALE_UP_LIMIT)
    if wanted < at.current and (lowest := _lowest(at)) > at.policy.min_replicas:
        return Step(max(wanted, lowest), Reason.SCALE_DOWN_LIMIT)
    return Step(wanted, Reason.SCALE_UP_LIMIT)


def cool_down(wanted: int, at: Situation) -> Step:
    """Keep the last replica, where it may go at all, until nothing has been outstanding for the cooldown."""
    is_last = wanted == 0 and at.current > 0 and at.policy.min_replicas == 0
    is_cooling = at.now - at.memory.busy_at < at.policy.cooldown
    return Step(1 if is_last and is_cooling else wanted, Reason.COOLDOWN)


def bound(wanted: int, at: Situation) -> Step:
    """Between minReplicas and maxReplicas, whatever else holds."""
    if wanted < at.policy.min_replicas:
        return Step(at.policy.min_replicas, Reason.TOO_FEW_REPLICAS)
    return Step(min(wanted, at.policy.max_replicas), Reason.TOO_MANY_REPLICAS)


def _highest(at: Situation) -> int:
    rules = at.policy.behavior.scale_up
    if rules.select is SelectPolicy.DISABLED:
        return at.current
    reach = _reach(rules, at, lambda start, percent: math.ceil(start * (1 + percent / 100)), sign=1)
    if not reach:
        return at.policy.max_replicas
    highest = min(reach) if rules.select is SelectPolicy.MIN else max(reach)
    return max(highest, at.current, 1)


def _lowest(at: Situation) -> int:
    rules = at.policy.behavior.scale_down
    if rules.select is SelectPolicy.DISABLED:
        return at.current
    reach = _reach(rules, at, lambda start, percent: int(start * (1 - percent / 100)), sign=-1)
    if not reach:
        return 0
    lowest = max(reach) if rules.select is SelectPolicy.MIN else min(reach)
    return min(lowest, at.current)


def _reach(rules: ScalingRules, at: Situation, by_percent: Callable[[int, int], int], sign: int) -> list[int]:
    """Where each policy lets the replicas go, counted from what there was when its period began."""
    reach = []
    for policy in rules.policies:
        start = at.current - at.memory.added_since(at.now - policy.period)
        by_pods = start + sign * policy.value
        reach.append(by_pods if policy.type is PolicyType.PODS else by_percent(start, policy.value))
    return reach
