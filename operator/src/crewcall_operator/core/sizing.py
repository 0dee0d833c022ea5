"""Sizing: how many replicas a pool's target asks for, before any limit.

Pure. Outstanding work counts (ready, due and fetched), not the length of the list: a worker that has fetched a queue
into its buffer leaves the list empty and the work undone, and delayed jobs that are due wait for a worker to move
them. Limits on the answer belong to `decide`.

`backlogPerReplica` is plain arithmetic, as the HPA does it for an External metric with an AverageValue
(kubernetes/pkg/controller/podautoscaler/replica_calculator.go, GetExternalPerPodMetricReplicas).
"""

from __future__ import annotations

import math

from crewcall_operator.core.decision import Reason, Step
from crewcall_operator.core.flow import NOTHING_KNOWN, Flow
from crewcall_operator.core.observation import Observation
from crewcall_operator.core.policy import OnSaturation, Policy, QueueLatency
from crewcall_operator.core.promise import replicas_for
from crewcall_operator.core.startups import UNSEEN

#: Sums of weights such as 0.1 are not exact; a quotient this little above a whole number is that number.
ROUNDING = 1e-9


def recommend(
    policy: Policy,
    observed: Observation,
    current: int,
    startup: float = UNSEEN,
    flow: Flow = NOTHING_KNOWN,
    *,
    is_saturated: bool = False,
) -> Step:
    """The replicas that the target asks for when `current` are there.

    A new one takes `startup` seconds to start; `flow` is what is known of the work, this observation included.
    `is_saturated` where more of them have brought no more throughput.
    """
    if isinstance(policy.target, QueueLatency):
        step = _by_promise(policy, policy.target, observed, current, flow, is_saturated=is_saturated)
    else:
        step = _by_backlog(policy, policy.target.jobs, observed, current)
    if step.replicas == 0 and _is_due_soon(observed, startup) and step.reason is not Reason.TARGET_NOT_AVAILABLE:
        # Only a worker moves delayed jobs: without one they would stay where they are for ever.
        return Step(1, Reason.DUE_SOON)
    return step


def weighted_backlog(policy: Policy, observed: Observation) -> float:
    """Outstanding jobs, each counted with its queue's weight."""
    weights = {queue.name: queue.weight for queue in policy.queues}
    return sum(weights[queue.name] * queue.outstanding for queue in observed.queues)


def _by_promise(
    policy: Policy, target: QueueLatency, observed: Observation, current: int, flow: Flow, *, is_saturated: bool
) -> Step:
    wanted = replicas_for(policy, target.seconds, observed, flow)
    if wanted is None:
        return Step(current, Reason.TARGET_NOT_AVAILABLE)
    if wanted > current and observed.crew is not None and observed.crew.unschedulable:
        # More of them would only wait as well, and take the nodes that come from others.
        return Step(current, Reason.PODS_UNSCHEDULABLE)
    if wanted > current > 0 and is_saturated and target.on_saturation is OnSaturation.HOLD:
        # Never fewer: that throughput does not rise does not tell how many it takes to keep it.
        return Step(current, Reason.DOWNSTREAM_SATURATED)
    return Step(wanted, _direction(wanted, current))


def _by_backlog(policy: Policy, jobs: float, observed: Observation, current: int) -> Step:
    backlog = weighted_backlog(policy, observed)
    # However little its weight: with no replica at all it would never be done.
    least = 1 if observed.outstanding else 0
    wanted = max(least, math.ceil(backlog / jobs - ROUNDING))
    if wanted != current and current > 0 and _is_tolerated(policy, backlog / (jobs * current)):
        return Step(current, Reason.WITHIN_TOLERANCE)
    return Step(wanted, _direction(wanted, current))


def _is_due_soon(observed: Observation, startup: float) -> bool:
    return observed.next_due_in is not None and observed.next_due_in <= startup


def _is_tolerated(policy: Policy, ratio: float) -> bool:
    up, down = policy.behavior.scale_up.tolerance, policy.behavior.scale_down.tolerance
    return 1.0 - down <= ratio <= 1.0 + up


def _direction(wanted: int, current: int) -> Reason:
    if wanted == 0:
        return Reason.IDLE
    if current == 0:
        return Reason.ACTIVATED
    if wanted > current:
        return Reason.BACKLOG_DRAIN
    return Reason.BACKLOG_FELL if wanted < current else Reason.STEADY_LOAD
