"""The status of a WorkerPool, built from what one tick found. Pure: no clock, no client.

What is unknown is left out or shown as "?"; it is never zero. Most ticks change nothing but a few numbers, and
each write costs an API server and comes back as a watch event, so `is_worth_writing` says which are worth it; live
numbers belong in the metrics.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from crewcall_operator.api.conditions import TRUE, Condition, conditions, rejected
from crewcall_operator.api.deployment import pod_labels
from crewcall_operator.api.duration import write_duration
from crewcall_operator.api.retelling import decision, flow_of, sizing, workers
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.errors import Problem
from crewcall_operator.ports import Report

Json = dict[str, Any]

UNKNOWN: Final = "?"

REFRESH: Final = 10.0
"""Seconds between two writes that change nothing but numbers and the words about them."""

MESSAGE_LENGTH: Final = 32_768
"""The longest message of a condition that the CRD admits, in characters."""

_PASSING: Final = ("backlog", "oldest", "decision", "sizing", "workers", "desiredReplicas")
"""Fields of numbers that change all the time. What of a decision lasts is in the conditions."""


def status(report: Report, previous: Mapping[str, Any] | None, now: datetime) -> Json:
    """The whole status after `report`; `previous` is the one before it, or None."""
    previous = previous or {}
    queues = _queues(report, previous)
    unseen = [queue["name"] for queue in queues if not queue["seen"]]
    found: Json = {"observedGeneration": report.pool.generation}
    if report.fleet is not None:
        found |= {"replicas": report.fleet.current, "readyReplicas": report.fleet.ready}
    if report.plan is not None:
        found["drainingReplicas"] = len(report.plan.draining)
    if report.pool.template is not None:
        found["selector"] = ",".join(f"{label}={value}" for label, value in pod_labels(report.pool).items())
    return (
        found
        | _decided(report, previous, now)
        | decision(report)
        | sizing(report)
        | workers(report.observation)
        | _backlog(report.observation, unseen)
        | {"queues": queues}
        | _conditions(conditions(report, unseen), report.pool.generation, previous, now)
    )


def rejected_status(
    generation: int, problems: Sequence[Problem], previous: Mapping[str, Any] | None, now: datetime
) -> Json:
    """The status of a pool whose spec is invalid: every problem, and nothing that nobody looks after any more."""
    message = "; ".join(str(problem) for problem in problems)
    previous = previous or {}
    found = {"observedGeneration": generation, "queues": _unread(previous)}
    return found | _backlog(None, ()) | _conditions(rejected(message), generation, previous, now)


def is_worth_writing(
    previous: Mapping[str, Any] | None, new: Mapping[str, Any], seconds_since_last_write: float
) -> bool:
    """At once where more than numbers changed; else where they did, and the last write is `REFRESH` ago."""
    if previous is None or _lasting(previous) != _lasting(new):
        return True
    return previous != new and seconds_since_last_write >= REFRESH


def _queues(report: Report, previous: Mapping[str, Any]) -> list[Json]:
    known = {queue["name"] for queue in previous.get("queues", ()) if queue.get("seen")}
    if report.observation is None:
        return _unread(previous)
    return [_queue(state, state.name in known) | flow_of(state, report.flow) for state in report.observation.queues]


def _unread(previous: Mapping[str, Any]) -> list[Json]:
    """Where Redis could not be read, only which queues it is about, and which of them were seen before."""
    return [{"name": queue["name"], "seen": bool(queue.get("seen"))} for queue in previous.get("queues", ())]


def _queue(state: QueueState, was_seen: bool) -> Json:
    # Redis drops the keys of an empty queue: one that was seen once counts as seen for good.
    if not (state.is_known or was_seen):
        return {"name": state.name, "seen": False}
    found: Json = {
        "name": state.name,
        "seen": True,
        "ready": state.ready,
        "inFlight": state.in_flight,
        "delayed": state.delayed,
        "dead": state.dead,
    }
    if state.due:
        found["due"] = state.due
    if state.limited:
        found["limited"] = state.limited
    if state.is_paused:
        found["paused"] = True
    if state.oldest_ready_age is not None:
        found["oldestAgeSeconds"] = round(state.oldest_ready_age, 1)
    return found


def _backlog(observation: Observation | None, unseen: Collection[str]) -> Json:
    """Of the queues that there are: one that nobody has ever seen, misspelt perhaps, is not an empty one."""
    if observation is None or len(unseen) == len(observation.queues):
        return {"backlog": UNKNOWN, "oldest": UNKNOWN}
    found = {"backlog": str(observation.ready)}
    ages = [queue.oldest_ready_age for queue in observation.queues if queue.ready]
    if ages:
        known = [age for age in ages if age is not None]
        at_least = "" if len(known) == len(ages) else "≥"
        found["oldest"] = f"{at_least}{write_duration(max(known))}" if known else UNKNOWN
    return found


def _decided(report: Report, previous: Mapping[str, Any], now: datetime) -> Json:
    if report.decision is None or report.fleet is None:
        return {name: previous[name] for name in ("desiredReplicas", "lastDecision") if name in previous}
    current, replicas = report.fleet.current, report.decision.replicas
    new = {"from": current, "to": replicas, "reason": report.decision.reason.value}
    last = previous.get("lastDecision")
    is_same = last is not None and {name: last[name] for name in new} == new
    if current != replicas and not is_same:
        last = {"time": stamp(now), **new, "message": report.decision.message}
    return {"desiredReplicas": replicas} | ({} if last is None else {"lastDecision": last})


def _conditions(found: Iterable[Condition], generation: int, previous: Mapping[str, Any], now: datetime) -> Json:
    before = {(old["type"], old["status"]): old["lastTransitionTime"] for old in previous.get("conditions", ())}
    return {
        "conditions": [
            {
                **condition._asdict(),
                "message": _cut(condition.message),
                "observedGeneration": generation,
                "lastTransitionTime": before.get((condition.type, condition.status), stamp(now)),
            }
            for condition in found
        ]
    }


def _cut(message: str) -> str:
    """No longer than the CRD admits: one that is longer would make the whole status one that cannot be written."""
    return message if len(message) <= MESSAGE_LENGTH else message[: MESSAGE_LENGTH - 1] + "…"


def _lasting(whole: Mapping[str, Any]) -> Json:
    """The status without numbers that change all the time, and the words that hold such."""
    kept = {name: value for name, value in whole.items() if name not in _PASSING}
    kept["lastDecision"] = _direction(whole.get("lastDecision"))
    kept["queues"] = [(queue["name"], queue.get("seen"), queue.get("paused")) for queue in whole.get("queues", ())]
    kept["conditions"] = [
        {**condition, "message": ""} if condition["status"] == TRUE else condition
        for condition in whole.get("conditions", ())
    ]
    return kept


def _direction(last: Mapping[str, Any] | None) -> tuple[str, bool] | None:
    """What of the last decision is no number: its reason, and whether it was up."""
    return None if last is None else (last["reason"], last["to"] > last["from"])


def stamp(now: datetime) -> str:
    """A moment as Kubernetes writes it."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")
