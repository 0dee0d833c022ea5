"""What the status keeps so that a decision can be retold: its steps, and the figures that it was made of.

Pure. `crewcall explain` shows these, and computes nothing anew: what it tells is what the operator did. Numbers only,
and in few digits: words are in the conditions, and a figure that hardly moved is not worth a write. An idle pool's
never change.
"""

from __future__ import annotations

from typing import Any, Final

from crewcall_operator.core.decision import Reason
from crewcall_operator.core.flow import Flow
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.core.policy import QueueLatency
from crewcall_operator.core.promise import demand
from crewcall_operator.core.sizing import weighted_backlog
from crewcall_operator.ports import Report

Json = dict[str, Any]

#: Decisions taken without a size being computed.
_UNSIZED: Final = (Reason.PAUSED, Reason.PINNED, Reason.TARGET_NOT_AVAILABLE)


def decision(report: Report) -> Json:
    """How the last decision came about: each step's replicas and reason; the last step is what was decided."""
    made, fleet = report.decision, report.fleet
    if made is None or fleet is None:
        return {}
    steps = [{"replicas": step.replicas, "reason": step.reason.value} for step in made.steps]
    return {"decision": {"from": fleet.current, "to": made.replicas, "reason": made.reason.value, "steps": steps}}


def sizing(report: Report) -> Json:
    """The figures behind the first step; nothing where none were computed, or nothing is outstanding."""
    observed, made, policy = report.observation, report.decision, report.pool.policy
    if observed is None or made is None or not observed.outstanding or made.steps[:1] == ():
        return {}
    if made.steps[0].reason in _UNSIZED:
        return {}
    if not isinstance(policy.target, QueueLatency):
        return {"sizing": {"weightedBacklog": _short(weighted_backlog(policy, observed))}}
    if observed.crew is None or report.flow is None:
        return {}
    crew = observed.crew
    need = demand(policy, policy.target.seconds, observed, crew, report.flow)
    return {
        "sizing": {
            "loadThreads": _short(need.load),
            "steadyThreads": need.steady,
            "backlogThreads": _short(max(0.0, need.backlog)),
            "burstThreads": _short(need.burst),
            "threadsPerReplica": crew.threads,
            "startupSeconds": _short(crew.startup),
        }
    }


def workers(observed: Observation | None) -> Json:
    """The workers that tell of themselves; nothing where there are none, as with plain Dramatiq workers."""
    if observed is None or not observed.workers:
        return {}
    busy = sum(worker.busy for worker in observed.workers)
    return {"workers": {"seen": len(observed.workers), "busyThreads": busy, "orders": len(observed.orders)}}


def flow_of(state: QueueState, flow: Flow | None) -> Json:
    """How fast a queue's jobs come and how long they take; nothing while it is empty, or where nobody counts."""
    known = None if flow is None else flow.queues.get(state.name)
    if known is None or not state.outstanding:
        return {}
    return {"arrivalsPerSecond": _short(known.arrivals), "jobSeconds": _short(known.service)}


def _short(value: float) -> float:
    """Three digits say enough."""
    return float(f"{value:.3g}")
