"""The conditions of a WorkerPool's status: what one tick's Report says of Ready, AbleToScale and the others.

AbleToScale, ScalingActive and ScalingLimited mean what the HPA's mean, and their reasons are the HPA's where it has
one (kubernetes/pkg/controller/podautoscaler/horizontal.go); else they are the decision's own.
Whether any of it is new, and since when, is `api.status`'s part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Final, NamedTuple

from crewcall_operator.api.happenings import listed
from crewcall_operator.api.names import LABEL_POOL
from crewcall_operator.core.decision import Decision, Reason
from crewcall_operator.core.estimate import WORDS
from crewcall_operator.core.policy import Mode, pinned
from crewcall_operator.core.wording import SENTENCES
from crewcall_operator.ports import Report

TRUE: Final = "True"
FALSE: Final = "False"
UNKNOWN: Final = "Unknown"

INVALID_SPEC: Final = "InvalidSpec"
ORDERS_UNWRITTEN: Final = "OrdersUnwritten"

_HELD_BACK: Final = (Reason.SCALE_UP_STABILIZED, Reason.SCALE_DOWN_STABILIZED, Reason.COOLDOWN)
_LIMITS: Final = (
    Reason.SCALE_UP_LIMIT,
    Reason.SCALE_DOWN_LIMIT,
    Reason.SCHEDULED,
    Reason.TOO_FEW_REPLICAS,
    Reason.TOO_MANY_REPLICAS,
)
#: Decisions taken without a look at the backlog: there was nothing to limit.
_UNSIZED: Final = (Reason.REDIS_UNAVAILABLE, Reason.FALLBACK, Reason.TARGET_NOT_AVAILABLE, Reason.PAUSED)


class Condition(NamedTuple):
    """One condition, without its times."""

    type: str
    status: str
    reason: str
    message: str


def conditions(report: Report, unseen: Sequence[str]) -> tuple[Condition, ...]:
    """All conditions of one pool; `unseen` are its queues that were never seen in Redis."""
    return (
        ready(report),
        _able_to_scale(report),
        _scaling_active(report),
        _scaling_limited(report),
        _queues_seen(report, unseen),
        *_workers_seen(report),
        *_throughput_scales(report),
    )


def rejected(message: str) -> tuple[Condition, ...]:
    """The conditions of a pool whose spec is wrong as `message` says: nothing of it was looked at."""
    skipped = "not looked at until the spec is valid"
    return (
        Condition("Ready", FALSE, INVALID_SPEC, message),
        Condition("AbleToScale", UNKNOWN, INVALID_SPEC, skipped),
        Condition("ScalingActive", FALSE, INVALID_SPEC, "a pool with an invalid spec is not scaled"),
        Condition("ScalingLimited", UNKNOWN, INVALID_SPEC, skipped),
        Condition("QueuesSeen", UNKNOWN, INVALID_SPEC, skipped),
    )


def ready(report: Report) -> Condition:
    """Whether the pool can be looked after; with the one reason for its number of replicas."""
    if report.failure is not None:
        return Condition("Ready", FALSE, report.failure.reason, str(report.failure))
    if report.unavailable is not None:
        return Condition("Ready", FALSE, _blind_reason(report), str(report.unavailable))
    reason, message = _decided(report.decision)
    if Reason.WORKERS_UNREAD in _reasons(report.decision):
        return Condition("Ready", FALSE, reason, message)
    if report.unordered is not None:
        kept = "no replica goes" if _is_kept_by_orders(report) else "who is drained stays so"
        message = f"{kept}, as orders could not be written: {report.unordered}"
        return Condition("Ready", FALSE, ORDERS_UNWRITTEN, message)
    if Reason.TARGET_NOT_AVAILABLE in _reasons(report.decision):
        return Condition("Ready", FALSE, Reason.TARGET_NOT_AVAILABLE.value, SENTENCES[Reason.TARGET_NOT_AVAILABLE])
    return Condition("Ready", TRUE if report.decision is not None else FALSE, reason, message)


def _able_to_scale(report: Report) -> Condition:
    if report.failure is not None and report.failure.fleet is None:
        return Condition("AbleToScale", FALSE, report.failure.reason, str(report.failure))
    if report.applied and report.decision is not None:
        message = f"the replicas were set to {report.replicas}"
        return Condition("AbleToScale", TRUE, "SucceededRescale", message)
    if Reason.WORKERS_UNREAD in _reasons(report.decision):
        return Condition("AbleToScale", FALSE, *_decided(report.decision))
    if _is_kept_by_orders(report):
        return ready(report)._replace(type="AbleToScale")
    if report.plan is not None and report.plan.draining:
        message = f"waiting until {listed(report.plan.draining)} have finished what they run"
        return Condition("AbleToScale", TRUE, "Draining", message)
    held_back = _first(_HELD_BACK, _reasons(report.decision))
    if held_back is not None:
        return Condition("AbleToScale", TRUE, held_back, _decided(report.decision)[1])
    return Condition("AbleToScale", TRUE, "ReadyForNewScale", "the replicas can be changed at any time")


def _scaling_active(report: Report) -> Condition:
    policy = report.pool.policy
    if policy.mode is not Mode.AUTO:
        left = (
            "the replicas stay as they are"
            if report.pool.template is None
            else "replicas and template stay as they are"
        )
        return Condition("ScalingActive", FALSE, "ScalingDisabled", f"mode is {policy.mode.value}; {left}")
    policy = pinned(policy, report.pin)
    if policy.pinned is not None:
        message = f"{policy.pinned_by} pins the pool to {policy.pinned}"
        return Condition("ScalingActive", FALSE, "ScalingDisabled", message)
    if report.unavailable is not None:
        return Condition("ScalingActive", FALSE, _blind_reason(report), str(report.unavailable))
    if report.decision is None:
        return Condition("ScalingActive", UNKNOWN, *_decided(None))
    if Reason.TARGET_NOT_AVAILABLE in _reasons(report.decision):
        return Condition("ScalingActive", FALSE, *ready(report)[2:])
    how = "" if report.estimate is None else f"; {WORDS[report.estimate.basis]}"
    return Condition("ScalingActive", TRUE, "ValidMetricFound", f"the backlog was read from Redis{how}")


def _scaling_limited(report: Report) -> Condition:
    reasons = _reasons(report.decision)
    limit = _first(_LIMITS, reasons)
    if limit is not None:
        return Condition("ScalingLimited", TRUE, limit, _decided(report.decision)[1])
    if report.decision is None or _first(_UNSIZED, reasons) is not None:
        return Condition("ScalingLimited", UNKNOWN, _decided(report.decision)[0], "nothing was computed to be limited")
    return Condition("ScalingLimited", FALSE, "DesiredWithinRange", "the replicas wanted are within every limit")


def _queues_seen(report: Report, unseen: Sequence[str]) -> Condition:
    if report.unavailable is not None:
        return Condition("QueuesSeen", UNKNOWN, Reason.REDIS_UNAVAILABLE.value, str(report.unavailable))
    if unseen:
        names = ", ".join(f'"{name}"' for name in unseen)
        message = f"never seen in Redis: {names}; right if no job was ever sent there, otherwise check the name"
        return Condition("QueuesSeen", FALSE, "QueueNeverSeen", message)
    return Condition("QueuesSeen", TRUE, "AllQueuesSeen", "every queue has been seen in Redis")


def _workers_seen(report: Report) -> Iterator[Condition]:
    """Whether replicas can be told to drain; nothing where pods are not told apart."""
    if report.plan is None or report.fleet is None or report.fleet.pods is None:
        return
    kind, plainly = "WorkersSeen", "scaled the plain way, by SIGTERM alone"
    if report.hindered:
        reason = "WorkersUnread" if report.unordered is None else ORDERS_UNWRITTEN
        yield Condition(kind, FALSE, reason, "; ".join(report.hindered))
    elif report.fleet.current and not report.fleet.pods:
        message = f"no pod has the label {LABEL_POOL}={report.pool.key.name}; without it the replicas are {plainly}"
        yield Condition(kind, UNKNOWN, "NoPodSeen", message)
    elif report.plan.plain:
        message = f"{listed(report.plan.plain)} show no worker with Crewcall's runtime; these are {plainly}"
        yield Condition(kind, FALSE, "PodsWithoutRuntime", message)
    else:
        yield Condition(kind, TRUE, "AllWorkersSeen", "every pod that has had time to start shows its worker")


def _is_kept_by_orders(report: Report) -> bool:
    """Whether fewer replicas would suffice, and none can be ordered to drain."""
    if report.unordered is None or report.fleet is None or report.decision is None:
        return False
    return report.decision.replicas < report.fleet.current


def _throughput_scales(report: Report) -> Iterator[Condition]:
    """Whether more replicas get more done, as far as throughput tells; only where that is looked at."""
    if report.estimate is None:
        return
    found = report.estimate.saturated
    if found is None:
        yield Condition("ThroughputScales", TRUE, "NothingAgainst", "no sign that more replicas would not help")
    else:
        yield Condition("ThroughputScales", FALSE, Reason.DOWNSTREAM_SATURATED.value, str(found))


def _blind_reason(report: Report) -> str:
    is_fallback = report.decision is not None and report.decision.reason is Reason.FALLBACK
    return (Reason.FALLBACK if is_fallback else Reason.REDIS_UNAVAILABLE).value


def _decided(decision: Decision | None) -> tuple[str, str]:
    if decision is None:
        return "NotDecided", "nothing was decided"
    return decision.reason.value, decision.message


def _reasons(decision: Decision | None) -> Set[Reason]:
    return set() if decision is None else {decision.reason, *(step.reason for step in decision.steps)}


def _first(candidates: Sequence[Reason], given: Set[Reason]) -> str | None:
    return next((reason.value for reason in candidates if reason in given), None)
