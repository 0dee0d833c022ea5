"""What is kept of a pod that the watch shows."""

from __future__ import annotations

from typing import Any

import pytest

from crewcall_operator.adapters.pods import GONE_KEPT, Pods
from crewcall_operator.api.pool import PoolKey

POOL = PoolKey("shop", "notifications")


def body(*conditions: dict[str, str]) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "shop",
            "name": "a",
            "resourceVersion": "1",
            "labels": {"crewcall.dev/pool": "notifications"},
            "creationTimestamp": "2026-01-02T12:00:00Z",
        },
        "status": {"phase": "Pending", "conditions": list(conditions)},
    }


@pytest.mark.parametrize(
    ("condition", "is_unschedulable"),
    [
        ({"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}, True),
        ({"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}, False),
        ({"type": "PodScheduled", "status": "False"}, False),
        ({"type": "PodScheduled", "status": "True"}, False),
        ({"type": "Ready", "status": "False", "reason": "Unschedulable"}, False),
    ],
)
def test_a_pod_that_finds_no_node_says_so_itself(condition: dict[str, str], is_unschedulable: bool) -> None:
    pods = Pods(lambda: 100.0, lambda: 0.0)

    pods.saw(body(condition))

    (pod,) = pods.of(POOL)
    assert (pod.is_unschedulable, pod.is_ready) == (is_unschedulable, False)


def test_forgets_the_pods_of_pools_that_nobody_asks_for() -> None:
    now = [0.0]
    pods = Pods(lambda: now[0], lambda: 0.0)
    for pool in range(100):
        now[0] += GONE_KEPT / 10
        churned = body()
        churned["metadata"]["labels"] = {"crewcall.dev/pool": f"pool-{pool}"}
        pods.saw(churned)
        pods.lost(churned)

    assert len(pods._gone) + len(pods._seen) < 50
    assert pods.gone(PoolKey("shop", "pool-99")) == {"a"}
    assert pods.gone(PoolKey("shop", "pool-50")) == frozenset()
