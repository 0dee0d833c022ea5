"""WorkerPools as a cluster holds them after a tick, for what reads them: each status is the operator's own work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.workerpools import workerpool

from crewcall_operator.api.spec import read_pool
from crewcall_operator.api.status import status
from crewcall_operator.core.decide import decide
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Fleet, Observation, QueueState, Worker
from crewcall_operator.errors import QueueUnavailable
from crewcall_operator.ports import Report

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
NOW = NOON + timedelta(seconds=3)

SILENT = QueueUnavailable("redis.shop:6379", "no answer for 2 s")

BUSY = Observation(
    (
        QueueState("sms", ready=112, in_flight=32, delayed=3, due=1, oldest_ready_age=4.1),
        QueueState("email", ready=8, in_flight=8, dead=2, oldest_ready_age=0.2),
    ),
    workers=(Worker("w1", "pod-1", busy=32), Worker("w2", "pod-2", busy=8)),
)


def looked_at(
    name: str = "notifications",
    observed: Observation | None = BUSY,
    *,
    current: int = 4,
    namespace: str = "shop",
    applied: bool = False,
    **spec: Any,
) -> dict[str, Any]:
    """A pool of two queues as the API gives it at `NOW`, after one look at `NOON`. With None Redis was silent."""
    fields = {
        "queues": [{"name": "sms"}, {"name": "email", "weight": 2}],
        "target": {"backlogPerReplica": 20},
        "behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 3, "periodSeconds": 15}]}},
        "maxReplicas": 50,
    }
    body = workerpool(name, **(fields | spec))
    body["metadata"] |= {"namespace": namespace, "uid": f"uid-of-{name}", "generation": 1}
    pool = read_pool(body)
    decision = decide(pool.policy, observed, current, Memory.beginning(0.0, current), 100.0)
    report = Report(
        pool,
        100.0,
        observed,
        None if observed is not None else SILENT,
        Fleet(current, current),
        decision,
        applied=applied,
    )
    body["status"] = status(report, None, NOON)
    stamp = "2026-01-02T12:00:00Z"
    body["metadata"]["managedFields"] = [
        {"manager": "kubectl", "time": "2026-01-02T12:00:02Z"},
        {"manager": "crewcall-operator", "subresource": "status", "time": stamp},
    ]
    return body


def deployment(replicas: int = 4) -> dict[str, Any]:
    return {"spec": {"replicas": replicas}, "status": {"readyReplicas": 4, "updatedReplicas": 4}}


def event(reason: str, message: str, at: str = "2026-01-02T11:59:00Z", count: int = 1) -> dict[str, Any]:
    return {
        "metadata": {},
        "type": "Normal",
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
        "count": count,
    }
