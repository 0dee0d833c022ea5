"""One pool in a real cluster: the chart's operator, the worker's image, real pods, and jobs that are never lost."""

from __future__ import annotations

import pytest
from tests.e2e.conftest import ApplyPool
from tests.support.cluster import Cluster, eventually
from tests.support.demo_pool import PODS, Jobs, asked_for, ready_pods


def test_a_pool_goes_from_zero_to_many_and_back_and_no_job_is_lost(
    cluster: Cluster, apply_pool: ApplyPool, jobs: Jobs
) -> None:
    apply_pool({"maxReplicas": 3})
    eventually(lambda: asked_for(cluster) == [0], "a Deployment without replicas", within=30)

    jobs.send(120, milliseconds=200)

    eventually(lambda: asked_for(cluster) == [3], "120 jobs, 40 a replica: 3 replicas", within=10)
    eventually(lambda: jobs.outcome() == (120, 0, 0), "every job done once", within=120)
    eventually(lambda: asked_for(cluster) == [0], "no replica", within=60)
    eventually(lambda: not cluster.list("pods", PODS), "no pod", within=60)
    assert jobs.outcome() == (120, 0, 0)
    assert {"Activated", "Idle"} <= {event["reason"] for event in cluster.list("events")}


def test_a_pod_that_is_deleted_finishes_its_jobs_first(cluster: Cluster, apply_pool: ApplyPool, jobs: Jobs) -> None:
    apply_pool({"minReplicas": 1, "maxReplicas": 1, "drain": {"gracePeriod": "60s"}})
    (pod,) = eventually(lambda: ready_pods(cluster), "a ready worker", within=60)

    jobs.send(4, milliseconds=8000)  # as many as it has threads
    eventually(lambda: jobs.in_flight() == 4, "the worker has all of them", within=20)
    cluster.kubectl("delete", "pod", pod, "--wait=false")

    # Another pod is there by then; it would run the jobs again, had they been cut off.
    eventually(lambda: jobs.outcome() == (4, 0, 0), "every job done once", within=60)
    eventually(lambda: pod not in ready_pods(cluster), "the deleted pod is gone", within=30)


def test_a_wrong_pool_says_so_and_makes_nothing(cluster: Cluster, apply_pool: ApplyPool) -> None:
    with pytest.raises(AssertionError, match="minReplicas"):
        apply_pool({"minReplicas": 9, "maxReplicas": 2})

    assert asked_for(cluster) == []
