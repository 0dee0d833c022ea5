"""What a real cluster does to a pool: pods killed, a template rolled, the leading operator lost. No job is."""

from __future__ import annotations

import pytest
from tests.e2e.conftest import ApplyPool
from tests.support.cluster import Cluster, eventually
from tests.support.demo_pool import PODS, POOL, Jobs, asked_for, is_true, ready_pods

from crewcall_worker import wire

OPERATORS = "app.kubernetes.io/component=operator"
#: Seconds in which another operator scales on after the leading one was killed: the Lease, and one look.
TAKEOVER = 8.0


def test_the_jobs_of_a_killed_pod_are_done_by_another(cluster: Cluster, apply_pool: ApplyPool, jobs: Jobs) -> None:
    apply_pool({"minReplicas": 2, "maxReplicas": 2, "drain": {"gracePeriod": "60s"}})
    pods = eventually(lambda: _both(ready_pods(cluster)), "two ready workers", within=60)

    jobs.send(16, milliseconds=10_000)  # twice as many as the two have threads
    eventually(lambda: jobs.in_flight() >= 8, "both are busy", within=20)
    cluster.kubectl("delete", "pod", pods[0], "--grace-period=0", "--force")

    # A worker that died with its jobs leaves them to nobody: they are done only if they were given back.
    eventually(lambda: jobs.outcome()[:2] == (16, 0), "every job done", within=120)
    eventually(lambda: len(ready_pods(cluster)) == 2, "another pod in its place", within=60)


def test_a_changed_template_is_rolled_out_under_load_and_no_job_is_cut_off(
    cluster: Cluster, apply_pool: ApplyPool, jobs: Jobs
) -> None:
    pool = {"minReplicas": 2, "maxReplicas": 2, "drain": {"gracePeriod": "60s"}}
    apply_pool(pool)
    before = eventually(lambda: _both(ready_pods(cluster)), "two ready workers", within=60)
    jobs.send(16, milliseconds=4_000)
    eventually(lambda: jobs.in_flight() >= 8, "both are busy", within=20)

    cluster.kubectl(
        *("patch", "workerpool", POOL, "--type=json", "--patch"),
        '[{"op": "add", "path": "/spec/template/metadata", "value": {"annotations": {"example.com/build": "2"}}}]',
    )

    eventually(lambda: jobs.outcome() == (16, 0, 0), "every job done once", within=120)
    after = eventually(lambda: _both(_built(cluster, "2")), "two workers of the new template", within=60)
    assert set(after).isdisjoint(before)
    assert asked_for(cluster) == [2]


@pytest.mark.parametrize("end", [("--grace-period=0", "--force"), ("--wait=false",)], ids=["killed", "told to go"])
def test_another_operator_scales_on_where_the_leading_one_is_lost(
    cluster: Cluster, operator: str, apply_pool: ApplyPool, jobs: Jobs, end: tuple[str, ...]
) -> None:
    apply_pool({"maxReplicas": 3})
    eventually(lambda: asked_for(cluster) == [0], "a Deployment without replicas", within=30)
    eventually(lambda: len(_operators(cluster)) == 2, "two operators that are ready", within=60)
    leader = _leader(cluster, operator)

    cluster.kubectl("delete", "pod", leader, *end)
    jobs.send(120, milliseconds=200)

    eventually(lambda: asked_for(cluster) == [3], "replicas from the operator that stood by", within=TAKEOVER + 4)
    assert _leader(cluster, operator) != leader
    eventually(lambda: jobs.outcome() == (120, 0, 0), "every job done once", within=120)
    eventually(lambda: asked_for(cluster) == [0], "no replica", within=60)


def test_an_operator_killed_between_the_order_to_drain_and_the_shrink_cuts_no_job_off(
    cluster: Cluster, operator: str, apply_pool: ApplyPool, jobs: Jobs
) -> None:
    pool = wire.pool_name(cluster.namespace, POOL)
    apply_pool({"minReplicas": 2, "maxReplicas": 2, "drain": {"gracePeriod": "60s"}})
    eventually(lambda: _both(ready_pods(cluster)), "two ready workers", within=60)
    eventually(lambda: len(_operators(cluster)) == 2, "two operators that are ready", within=60)
    leader = _leader(cluster, operator)
    jobs.send(8, milliseconds=20_000)  # as many as the two have threads: either of them is busy for long
    eventually(lambda: jobs.in_flight() == 8, "both are busy", within=20)

    apply_pool({"minReplicas": 1, "maxReplicas": 1, "drain": {"gracePeriod": "60s"}})
    (ordered,) = eventually(lambda: jobs.orders(pool), "one of them is ordered to drain", within=10)
    cluster.kubectl("delete", "pod", leader, "--grace-period=0", "--force")
    assert asked_for(cluster) == [2]

    eventually(lambda: _leader(cluster, operator) != leader, "another operator leads", within=TAKEOVER + 4)
    eventually(lambda: asked_for(cluster) == [1], "the one that was ordered to is gone", within=60)
    eventually(lambda: jobs.outcome() == (8, 0, 0), "every job done once", within=60)
    eventually(lambda: len(ready_pods(cluster)) == 1, "one worker", within=30)
    assert ordered not in ready_pods(cluster)


def _both(names: list[str]) -> list[str]:
    """The two names, once there are two."""
    return names if len(names) == 2 else []


def _built(cluster: Cluster, build: str) -> list[str]:
    """The ready pods of one build of the template."""
    found = {
        pod["metadata"]["name"]
        for pod in cluster.list("pods", PODS)
        if pod["metadata"].get("annotations", {}).get("example.com/build") == build
    }
    return [name for name in ready_pods(cluster) if name in found]


def _operators(cluster: Cluster) -> list[str]:
    return [pod["metadata"]["name"] for pod in cluster.list("pods", OPERATORS) if is_true(pod, "Ready")]


def _leader(cluster: Cluster, operator: str) -> str:
    """The pod that holds the Lease."""
    holder: str = cluster.get("lease", operator)["spec"].get("holderIdentity") or ""
    return holder.rpartition("_")[0]
