"""A decision in words, for the Event, the condition and the terminal: one sentence for each reason.

Pure. The sentences hold figures that change from tick to tick; to tell whether a decision changed, compare its
replicas and reason, never its words.
"""

from __future__ import annotations

from crewcall_operator.core.decision import Reason, Step
from crewcall_operator.core.estimate import estimate
from crewcall_operator.core.limits import Situation
from crewcall_operator.core.observation import Observation
from crewcall_operator.core.policy import BacklogPerReplica, Policy, QueueLatency

SENTENCES = {
    Reason.ACTIVATED: "{backlog}; {wanted} replicas at {target}",
    Reason.BACKLOG_DRAIN: "{backlog}; {wanted} replicas at {target}",
    Reason.BACKLOG_FELL: "{backlog}; {wanted} replicas suffice at {target}",
    Reason.STEADY_LOAD: "{backlog}; {wanted} replicas are right at {target}",
    Reason.DUE_SOON: "the next delayed job is due in {due:.1f} s, and a replica takes {startup:.1f} s to start",
    Reason.IDLE: "nothing is outstanding",
    Reason.COOLDOWN: "nothing is outstanding; the last replica goes after {cooldown:.0f} s without work",
    Reason.WITHIN_TOLERANCE: "{backlog}; within the tolerance of {target}",
    Reason.SCALE_UP_STABILIZED: "{backlog}; {wanted} wanted, but {replicas} at some time in the last {up:.0f} s",
    Reason.SCALE_DOWN_STABILIZED: "{backlog}; {wanted} wanted, but {replicas} at some time in the last {down:.0f} s",
    Reason.SCALE_UP_LIMIT: "{backlog}; {wanted} wanted, behavior.scaleUp allows {replicas} for now",
    Reason.SCALE_DOWN_LIMIT: "{backlog}; {wanted} wanted, behavior.scaleDown allows {replicas} for now",
    Reason.TOO_FEW_REPLICAS: "{backlog}; {wanted} wanted, minReplicas is {min}",
    Reason.TOO_MANY_REPLICAS: "{backlog}; {wanted} wanted, maxReplicas is {max}",
    Reason.PODS_UNSCHEDULABLE: "{backlog}; more replicas are needed, but {unschedulable} that are there find no node",
    Reason.DOWNSTREAM_SATURATED: "{backlog}; {wanted} wanted, but more replicas have brought no more throughput",
    Reason.SCHEDULED: '{backlog}; {wanted} wanted, schedule "{schedule}" keeps {least}',
    Reason.PINNED: "pinned by {pinned_by}; remove it to scale by backlog again",
    Reason.PAUSED: "mode is Paused",
    Reason.WORKERS_UNREAD: "no replica goes while it is not known what its workers run: {unread}",
    Reason.REDIS_UNAVAILABLE: "Redis has not answered for {silence:.0f} s; keeping what runs",
    Reason.FALLBACK: "Redis has not answered for {silence:.0f} s; going to fallback.replicas",
    Reason.TARGET_NOT_AVAILABLE: "what target.queueLatency is sized by cannot be read; keeping what runs",
}


def sentence(step: Step, wanted: int, observed: Observation | None, at: Situation) -> str:
    """Say why a decision ended with `step`; `wanted` is what the target alone asked for."""
    policy = at.policy
    told = SENTENCES[step.reason].format(
        wanted=wanted,
        replicas=step.replicas,
        backlog=_backlog(observed),
        target=f"{policy.target.jobs:g} each"
        if isinstance(policy.target, BacklogPerReplica)
        else _promise(policy, policy.target, observed, at),
        cooldown=policy.cooldown,
        unschedulable=observed.crew.unschedulable if observed is not None and observed.crew is not None else 0,
        up=policy.behavior.scale_up.stabilization,
        down=policy.behavior.scale_down.stabilization,
        min=policy.min_replicas,
        max=policy.max_replicas,
        pinned_by=policy.pinned_by,
        due=(observed.next_due_in if observed is not None else None) or 0.0,
        startup=at.memory.startups.usual,
        unread="; ".join(observed.unread) if observed is not None else "",
        schedule=at.schedule.name if at.schedule is not None else "",
        least=at.schedule.min_replicas if at.schedule is not None else 0,
        silence=at.now - at.memory.observed_at,
    )
    return told if observed is None or not observed.paused else f"{told}; paused: {', '.join(observed.paused)}"


def _promise(policy: Policy, target: QueueLatency, observed: Observation | None, at: Situation) -> str:
    known = estimate(policy, observed, at.memory)
    return f"a promise of {target.seconds:g} s" + ("" if known is None else f" ({known})")


def _backlog(observed: Observation | None) -> str:
    if observed is None:
        return "backlog unknown"
    age = observed.oldest_ready_age
    oldest = "" if age is None else f", oldest {age:.1f} s"
    due = f", {observed.due} due" if observed.due else ""
    count = sum(queue.limited for queue in observed.queues)
    limited = f" ({count} held back by limits)" if count else ""
    return f"{observed.ready} ready{limited}{oldest}{due}, {observed.in_flight} in flight"
