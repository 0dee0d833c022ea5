"""Why a pool has the replicas it has: all that the cluster says of it, as one value for people and for programs.

Pure: from the WorkerPool, its Deployment and its Events as the API gives them. Nothing is decided anew: the steps are
those that the operator took and wrote down. What is not known is None, never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from crewcall_operator.api.pool import Pool
from crewcall_operator.api.spec import read_pool
from crewcall_operator.errors import InvalidSpec
from crewcall_operator.inspection.phrases import limits, phrase, target

Json = Mapping[str, Any]

EVENTS_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class QueueSeen:
    """One queue at the last look that was written down: jobs, seconds, jobs per second."""

    name: str
    weight: float
    seen: bool
    ready: int | None
    in_flight: int | None
    delayed: int | None
    due: int
    dead: int | None
    oldest_age_seconds: float | None
    arrivals_per_second: float | None
    job_seconds: float | None
    limited: int = 0
    paused: bool = False


@dataclass(frozen=True, slots=True)
class StepTaken:
    """The number a step arrived at, its reason, and what it did in words (empty where this version knows none)."""

    replicas: int
    reason: str
    words: str
    binds: bool


@dataclass(frozen=True, slots=True)
class Held:
    """One condition; `since` is when its status last changed."""

    type: str
    status: str
    reason: str
    message: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """One Event about the pool, `count` times until `at`."""

    at: datetime
    type: str
    reason: str
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class Changed:
    """The last decision that asked for another number of replicas."""

    at: datetime
    before: int
    after: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`warnings` say what makes the rest doubtful. `seen_at` is when the operator last wrote its status down."""

    namespace: str
    name: str
    mode: str
    target: str
    limits: str
    warnings: tuple[str, ...]
    seen_at: datetime | None
    current: int | None
    ready: int | None
    desired: int | None
    draining: int | None
    deployment: str
    fleet: Mapping[str, int] | None
    queues: tuple[QueueSeen, ...]
    workers: Mapping[str, int] | None
    sizing: Mapping[str, float]
    steps: tuple[StepTaken, ...]
    decided_from: int | None
    why: str
    last_change: Changed | None
    conditions: tuple[Held, ...]
    events: tuple[Told, ...]

    def as_json(self) -> dict[str, Any]:
        """The same for programs: camelCase names, times in RFC 3339."""
        found = _camel(asdict(self))
        return dict(found)


def explain(body: Json, deployment: Json | None, events: Iterable[Json]) -> Explanation:
    """What the cluster says of the pool `body`; `deployment` is None where there is none, or it may not be read."""
    status: Json = body.get("status") or {}
    pool, problems = _read(body)
    weights = {} if pool is None else {queue.name: queue.weight for queue in pool.policy.queues}
    decision = status.get("decision") or {}
    conditions = tuple(_held(found) for found in status.get("conditions", ()))
    spec = body["spec"]
    return Explanation(
        namespace=body["metadata"]["namespace"],
        name=body["metadata"]["name"],
        mode=spec.get("mode", "Auto"),
        target="" if pool is None else target(pool.policy),
        limits="" if pool is None else limits(pool.policy),
        warnings=(*_warnings(body, status, deployment), *problems),
        seen_at=written_at(body),
        current=status.get("replicas"),
        ready=status.get("readyReplicas"),
        desired=status.get("desiredReplicas"),
        draining=status.get("drainingReplicas"),
        deployment=deployment_name(body),
        fleet=None if deployment is None else _fleet(deployment),
        queues=tuple(_queue(found, weights) for found in status.get("queues", ())),
        workers=status.get("workers"),
        sizing=status.get("sizing") or {},
        steps=tuple(_steps(decision, pool)),
        decided_from=decision.get("from"),
        why=next((held.message for held in conditions if held.type == "Ready"), ""),
        last_change=_change(status.get("lastDecision")),
        conditions=conditions,
        events=_told(events),
    )


def deployment_name(body: Json) -> str:
    """The Deployment that runs the pool's workers."""
    return str((body["spec"].get("deploymentRef") or body["metadata"])["name"])


def written_at(body: Json) -> datetime | None:
    """When the status last changed, by the record that the API server keeps of each writer."""
    times = [
        moment(entry["time"])
        for entry in body["metadata"].get("managedFields", ())
        if entry.get("subresource") == "status" and "time" in entry
    ]
    return max(times, default=None)


def moment(text: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(text)


def _read(body: Json) -> tuple[Pool | None, list[str]]:
    try:
        return read_pool(body), []
    except InvalidSpec as invalid:
        return None, [str(problem) for problem in invalid.problems]


def _warnings(body: Json, status: Json, deployment: Json | None) -> Iterable[str]:
    if "conditions" not in status:
        yield "No operator has looked at this pool yet. Is one running, and does it watch this namespace?"
        return
    asked, answered = body["metadata"].get("generation"), status.get("observedGeneration")
    if asked is not None and answered is not None and answered < asked:
        yield f"The operator has not answered the newest spec yet (generation {asked}; it answers {answered})."
    asked_of = None if deployment is None else deployment["spec"].get("replicas")
    if asked_of is not None and "replicas" in status and asked_of != status["replicas"]:
        yield f"The Deployment has been given {asked_of} replicas since the status was written."


def _queue(found: Json, weights: Mapping[str, float]) -> QueueSeen:
    return QueueSeen(
        name=found["name"],
        weight=weights.get(found["name"], 1.0),
        seen=bool(found.get("seen")),
        ready=found.get("ready"),
        in_flight=found.get("inFlight"),
        delayed=found.get("delayed"),
        due=found.get("due", 0),
        dead=found.get("dead"),
        oldest_age_seconds=found.get("oldestAgeSeconds"),
        arrivals_per_second=found.get("arrivalsPerSecond"),
        job_seconds=found.get("jobSeconds"),
        limited=found.get("limited", 0),
        paused=bool(found.get("paused")),
    )


def _fleet(deployment: Json) -> dict[str, int]:
    status = deployment.get("status") or {}
    return {
        "replicas": deployment["spec"].get("replicas", 1),
        "ready": status.get("readyReplicas", 0),
        "up_to_date": status.get("updatedReplicas", 0),
    }


def _steps(decision: Json, pool: Pool | None) -> Iterable[StepTaken]:
    steps = decision.get("steps", ())
    for number, step in enumerate(steps):
        binds = number == len(steps) - 1 and number > 0
        words = phrase(step["reason"], None if pool is None else pool.policy)
        yield StepTaken(step["replicas"], step["reason"], words, binds)


def _change(found: Json | None) -> Changed | None:
    if found is None:
        return None
    return Changed(moment(found["time"]), found["from"], found["to"], found["reason"], found.get("message", ""))


def _held(found: Json) -> Held:
    since = moment(found["lastTransitionTime"])
    return Held(found["type"], found["status"], found["reason"], found["message"], since)


def _told(events: Iterable[Json]) -> tuple[Told, ...]:
    """The newest, newest first; one of the older API has lastTimestamp, one of the newer eventTime."""
    told = [
        Told(moment(time), event["type"], event["reason"], event.get("message", ""), event.get("count") or 1)
        for event in events
        if (time := event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp"))
    ]
    return tuple(sorted(told, key=lambda event: event.at, reverse=True)[:EVENTS_SHOWN])


def _camel(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {_camel_name(name): _camel(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_camel(each) for each in value]
    return value


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
