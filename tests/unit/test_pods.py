"""What is kept of a pod that the watch shows."""

from __future__ import annotations

from typing import Any

import pytest

from crewcall_operator.adapters.pods import Pods
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
