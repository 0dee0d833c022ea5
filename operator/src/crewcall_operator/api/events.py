"""The Events about a WorkerPool: what one tick found that is new, beside what it did about workers (`api.happenings`).

Pure: no clock, no client. What is new is told by the status before it, so that one story is told once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from crewcall_operator.api import names
from crewcall_operator.api.conditions import FALSE, TRUE, ready
from crewcall_operator.api.happenings import Happening
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.api.status import Json, stamp
from crewcall_operator.core.decision import Reason
from crewcall_operator.core.policy import Mode
from crewcall_operator.ports import Report

EVENT_LENGTH: Final = 1024
"""The longest message of an Event that an API server takes, in characters."""


def event(report: Report, previous: Mapping[str, Any] | None) -> Happening | None:
    """What this tick is worth telling; None where nothing is new."""
    before = {found["type"]: found for found in (previous or {}).get("conditions", ())}
    now = ready(report)
    was = before.get("Ready")
    if report.applied and report.decision is not None:
        type_ = "Normal" if now.status == TRUE else "Warning"
        return Happening(type_, report.decision.reason.value, f"Scaled {_move(report)}: {report.decision.message}")
    if now.status == FALSE:
        is_news = was is None or (was["status"], was["reason"]) != (now.status, now.reason)
        return Happening("Warning", now.reason, _kept(report) + now.message) if is_news else None
    if was is not None and was["status"] == FALSE:
        return Happening("Normal", now.reason, f"Scaling again: {now.message}")
    if _is_new_advice(report, previous or {}):
        return Happening("Normal", now.reason, f"Would scale {_move(report)}: {now.message}")
    return None


def turned(report: Report, previous: Mapping[str, Any] | None) -> Happening | None:
    """What to tell of a downstream that has come to be saturated, or is no more."""
    conditions_before = {it["type"]: it["status"] for it in (previous or {}).get("conditions", ())}
    was = conditions_before.get("ThroughputScales", TRUE) == FALSE
    if report.estimate is None or was == (report.estimate.saturated is not None):
        return None
    if report.estimate.saturated is None:
        return Happening("Normal", "DownstreamRelieved", "More replicas may get more done again")
    more = f"More replicas do not help: {report.estimate.saturated}"
    return Happening("Warning", Reason.DOWNSTREAM_SATURATED.value, more)


def event_body(key: PoolKey, uid: str, happening: Happening, now: datetime) -> Json:
    """The Event object of what happened to the pool of this uid."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{key.name}.", "namespace": key.namespace},
        "involvedObject": {"apiVersion": names.API_VERSION, "kind": names.KIND, **key._asdict(), "uid": uid},
        "type": happening.type,
        "reason": happening.reason,
        "message": happening.message[:EVENT_LENGTH],
        "source": {"component": names.MANAGER},
        "firstTimestamp": stamp(now),
        "lastTimestamp": stamp(now),
        "count": 1,
    }


def _move(report: Report) -> str:
    before = report.fleet.current if report.fleet else 0
    after = (report.replicas if report.applied else report.decision and report.decision.replicas) or 0
    return f"{'up' if after > before else 'down'} from {before} to {after}"


def _kept(report: Report) -> str:
    return f"Kept {report.fleet.current}: " if report.fleet and report.failure is None else ""


def _is_new_advice(report: Report, previous: Mapping[str, Any]) -> bool:
    if report.pool.policy.mode is not Mode.RECOMMEND or report.decision is None or report.fleet is None:
        return False
    wanted = report.decision.replicas
    return wanted not in (report.fleet.current, previous.get("desiredReplicas"))
