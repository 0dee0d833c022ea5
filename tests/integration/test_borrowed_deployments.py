"""Deployments that exist: borrowed, given back, and never fought for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import kubernetes.client
import kubernetes.config
import pytest
from tests.support.api_cluster import ApiCluster, Object
from tests.support.operator import RunningOperator
from tests.support.redis import RedisServer
from tests.support.shop import Shop, existing_deployment, installed
from tests.support.workerpools import ABSENT, CRD_FILE

from crewcall_operator.adapters.deployment_scaler import DeploymentScaler
from crewcall_operator.adapters.deployments import Deployments
from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.adapters.pods import Pods
from crewcall_operator.adapters.rivals import Rivals

EXISTING: dict[str, Any] = {"template": ABSENT, "deploymentRef": {"name": "existing"}}


@pytest.fixture
async def shop(cluster: ApiCluster, namespace: str, redis_server: RedisServer, tmp_path: Path) -> Shop:
    await cluster.install_crd(CRD_FILE)
    await cluster.create(existing_deployment(namespace, "existing", replicas=1))
    return await installed(cluster, namespace, redis_server.url, tmp_path)


@pytest.fixture
async def operator(shop: Shop) -> AsyncIterator[RunningOperator]:
    async with shop.operating("--interval", "0.1") as running:
        yield running


async def test_scales_a_deployment_that_exists_and_gives_it_back_when_the_pool_goes(
    shop: Shop, operator: RunningOperator
) -> None:
    await shop.open_pool(**EXISTING)
    shop.arrive(60)
    await shop.until_replicas(3, "existing")

    await shop.cluster.delete("WorkerPool", shop.namespace, "notifications")
    await shop.until_replicas(1, "existing")
    shop.arrive(400)

    await asyncio.sleep(0.4)  # several ticks: a pool that was still scaled would have changed it by now
    found = await shop.deployment("existing")
    assert found is not None
    assert found["spec"]["replicas"] == 1
    assert "crewcall.dev/borrowed" not in found["metadata"].get("annotations", {})


async def test_gives_a_deployment_back_when_the_pool_turns_to_another(shop: Shop, operator: RunningOperator) -> None:
    await shop.cluster.create(existing_deployment(shop.namespace, "other", replicas=2))
    await shop.open_pool(**EXISTING)
    shop.arrive(60)
    await shop.until_replicas(3, "existing")

    await shop.change_pool({"deploymentRef": {"name": "other"}})

    await shop.until_replicas(1, "existing")
    await shop.until_replicas(3, "other")


async def test_gives_nothing_back_that_it_has_not_changed(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool(**EXISTING, mode="Recommend")
    shop.arrive(60)
    await shop.until_condition("ScalingActive", lambda *found: "Recommend" in found[2])
    await shop.cluster.patch("Deployment", shop.namespace, "existing", {"spec": {"replicas": 7}})

    await shop.cluster.delete("WorkerPool", shop.namespace, "notifications")

    await asyncio.sleep(0.4)  # it would have been done by now
    assert await shop.replicas("existing") == 7


async def test_finds_what_was_borrowed_by_a_pool_that_went_unseen(shop: Shop) -> None:
    await shop.cluster.create(existing_deployment(shop.namespace, "kept", replicas=1))
    async with shop.operating("--interval", "0.1"):
        await shop.open_pool(**EXISTING)
        await shop.open_pool("stays", template=ABSENT, deploymentRef={"name": "kept"})
        shop.arrive(60)
        await shop.until_replicas(3, "existing")
        await shop.until_replicas(3, "kept")
    await shop.cluster.delete("WorkerPool", shop.namespace, "notifications")

    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(shop.kubeconfig), client_configuration=configuration)
    api = KubernetesApi(configuration)
    deployments, pods = Deployments(), Pods(time.monotonic, time.time)
    scaler = DeploymentScaler(api, time.monotonic, deployments, pods, Rivals(api, time.monotonic, (shop.namespace,)))
    for body in await shop.cluster.list("Deployment", shop.namespace):
        deployments.saw(body)
    await scaler.give_back_what_nobody_borrows()
    await api.aclose()

    assert (await shop.replicas("existing"), await shop.replicas("kept")) == (1, 3)


async def test_holds_while_an_autoscaler_scales_the_same_deployment(shop: Shop, operator: RunningOperator) -> None:
    await shop.cluster.create(_autoscaler(shop.namespace, "hpa", "existing"))
    await shop.open_pool(**EXISTING)
    shop.arrive(60)
    told = await shop.until_condition("AbleToScale", lambda status, *_: status == "False")
    assert await shop.replicas("existing") == 1

    await shop.cluster.delete("HorizontalPodAutoscaler", shop.namespace, "hpa")

    await shop.until_replicas(3, "existing")
    assert told[1:] == (
        "ScaledByAnother",
        f"HorizontalPodAutoscaler hpa scales Deployment {shop.namespace}/existing too, and two would undo each other's "
        "work. Delete it, or try this pool beside it with mode: Recommend",
    )


async def test_names_the_scaled_object_that_made_the_autoscaler(shop: Shop, operator: RunningOperator) -> None:
    owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "jobs", "uid": "1-2-3"}
    await shop.cluster.create(_autoscaler(shop.namespace, "keda-hpa-jobs", "existing", owner))
    await shop.cluster.create(_autoscaler(shop.namespace, "another", "elsewhere"))
    await shop.open_pool(**EXISTING)

    _, reason, message = await shop.until_condition("AbleToScale", lambda status, *_: status == "False")

    assert reason == "ScaledByAnother"
    assert message.startswith(f"ScaledObject jobs scales Deployment {shop.namespace}/existing too")


async def test_recommends_beside_an_autoscaler(shop: Shop, operator: RunningOperator) -> None:
    await shop.cluster.create(_autoscaler(shop.namespace, "hpa", "existing"))
    await shop.open_pool(**EXISTING, mode="Recommend")
    shop.arrive(60)

    async def is_recommended() -> bool:
        return (await shop.status()).get("desiredReplicas") == 3

    await shop.cluster.until(is_recommended, "the recommendation")
    assert await shop.replicas("existing") == 1


def _autoscaler(namespace: str, name: str, target: str, *owners: Any) -> Object:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": list(owners)},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "maxReplicas": 5,
        },
    }
