"""Which pool scales a Deployment that several name, and what becomes of its replicas when one of them goes.

The scaler by itself, on an API server: `Shift` is one life of an operator, with all that it remembers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes.client
import kubernetes.config
import pytest
from tests.support.api_cluster import ApiCluster, Object
from tests.support.shop import Shop, existing_deployment, installed
from tests.support.stage import Time
from tests.support.workerpools import ABSENT, CRD_FILE

from crewcall_operator.adapters.deployment_scaler import DeploymentScaler
from crewcall_operator.adapters.deployments import Deployments
from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.adapters.pods import Pods
from crewcall_operator.adapters.rivals import Rivals
from crewcall_operator.api.pool import Pool
from crewcall_operator.api.spec import read_pool
from crewcall_operator.errors import TargetUnavailable

NOTE = "crewcall.dev/borrowed"


@pytest.fixture
async def shop(memory: ApiCluster, tmp_path: Path) -> Shop:
    await memory.install_crd(CRD_FILE)
    await memory.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    await memory.create(existing_deployment("shop", "existing", replicas=2))
    return await installed(memory, "shop", "redis://redis:6379/0", tmp_path, everywhere=True)


@pytest.fixture
async def api(shop: Shop) -> AsyncIterator[KubernetesApi]:
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(shop.kubeconfig), client_configuration=configuration)
    found = KubernetesApi(configuration)
    yield found
    await found.aclose()


class Shift:
    """One life of an operator that leads and knows the `pools`."""

    def __init__(self, shop: Shop, api: KubernetesApi, *pools: Pool) -> None:
        self.time = Time()
        self._shop = shop
        self._deployments = Deployments()
        pods, rivals = Pods(self.time, self.time), Rivals(api, self.time, ())
        self.scaler = DeploymentScaler(api, self.time, self._deployments, pods, rivals)
        for pool in pools:
            self.scaler.take_on(pool)

    async def scale(self, pool: Pool, replicas: int) -> None:
        await self.look(pool)
        await self.scaler.scale(pool, replicas)

    async def look(self, pool: Pool) -> None:
        for body in await self._shop.cluster.list("Deployment", "shop"):
            self._deployments.saw(body)
        await self.scaler.ensure(pool)

    async def refused(self, pool: Pool) -> tuple[str, str]:
        """Reason and message of what keeps this pool from scaling."""
        with pytest.raises(TargetUnavailable) as caught:
            await self.look(pool)
        return caught.value.reason, str(caught.value)

    async def lose(self, shop: Shop, pool: Pool) -> None:
        await shop.cluster.delete("WorkerPool", "shop", pool.key.name)
        await self.scaler.release(pool)

    async def sweep(self) -> None:
        for body in await self._shop.cluster.list("Deployment", "shop"):
            self._deployments.saw(body)
        await self.scaler.give_back_what_nobody_borrows()


async def open_pool(shop: Shop, name: str, target: str = "existing", **spec: Any) -> Pool:
    return read_pool(await shop.open_pool(name, template=ABSENT, deploymentRef={"name": target}, **spec))


async def note(shop: Shop, name: str = "existing") -> dict[str, Any] | None:
    found = ((await shop.deployment(name)) or {})["metadata"].get("annotations", {}).get(NOTE)
    return None if found is None else dict(json.loads(found))


async def set_replicas(shop: Shop, replicas: int, name: str = "existing") -> None:
    await shop.cluster.patch("Deployment", "shop", name, {"spec": {"replicas": replicas}})


async def test_the_pool_that_borrows_a_deployment_keeps_it_through_a_new_start(shop: Shop, api: KubernetesApi) -> None:
    borrower, other = await open_pool(shop, "zold"), await open_pool(shop, "anew")
    await Shift(shop, api, borrower).scale(borrower, 8)
    aged = replace(other, created="2000-01-01T00:00:00Z")

    restarted = Shift(shop, api, aged, borrower)

    assert (await restarted.refused(aged))[0] == "AmbiguousTarget"
    await restarted.look(borrower)


async def test_another_operators_pool_that_borrows_it_is_named_and_not_fought(shop: Shop, api: KubernetesApi) -> None:
    mine, others = await open_pool(shop, "mine"), await open_pool(shop, "others")
    await Shift(shop, api, others).scale(others, 8)

    assert await Shift(shop, api, mine).refused(mine) == (
        "AmbiguousTarget",
        "WorkerPool shop/others scales Deployment shop/existing already, and two would undo each other's work; "
        "name another Deployment, or delete one of the pools",
    )


async def test_two_operators_that_begin_at_once_do_not_both_borrow_it(shop: Shop, api: KubernetesApi) -> None:
    mine, others = await open_pool(shop, "mine"), await open_pool(shop, "others")
    here, there = Shift(shop, api, mine), Shift(shop, api, others)
    await here.look(mine)
    await there.scale(others, 2)

    with pytest.raises(TargetUnavailable, match="deciding anew"):
        await here.scaler.scale(mine, 8)
    assert (await here.refused(mine))[0] == "AmbiguousTarget"


async def test_the_next_pool_takes_the_replicas_over_as_they_are(shop: Shop, api: KubernetesApi) -> None:
    first, second = await open_pool(shop, "first"), await open_pool(shop, "second")
    shift = Shift(shop, api, first, second)
    await shift.scale(first, 8)

    await shift.lose(shop, first)
    await shift.look(second)

    assert await shop.replicas("existing") == 8
    await shift.lose(shop, second)
    assert await shop.replicas("existing") == 2


async def test_a_pool_that_changes_nothing_takes_nothing_over(shop: Shop, api: KubernetesApi) -> None:
    first, second = await open_pool(shop, "first"), await open_pool(shop, "second", mode="Recommend")
    shift = Shift(shop, api, first, second)
    await shift.scale(first, 8)

    await shift.lose(shop, first)

    assert (await shop.replicas("existing"), await note(shop)) == (2, None)


async def test_gives_nothing_back_that_an_autoscaler_scales_by_now(shop: Shop, api: KubernetesApi) -> None:
    pool = await open_pool(shop, "first")
    shift = Shift(shop, api, pool)
    await shift.scale(pool, 8)
    await shop.cluster.create(autoscaler())
    shift.time.now += 2

    await shift.lose(shop, pool)

    assert (await shop.replicas("existing"), await note(shop)) == (8, None)


async def test_an_autoscaler_is_noticed_by_its_first_change(shop: Shop, api: KubernetesApi) -> None:
    pool = await open_pool(shop, "first")
    shift = Shift(shop, api, pool)
    await shift.scale(pool, 8)
    await shop.cluster.create(autoscaler())
    shift.time.now += 2
    await shift.look(pool)

    await set_replicas(shop, 5)

    assert (await shift.refused(pool))[0] == "ScaledByAnother"


@pytest.mark.parametrize("mode", ["Auto", "Paused"])
async def test_replicas_that_somebody_else_has_set_stay(shop: Shop, api: KubernetesApi, mode: str) -> None:
    pool = await open_pool(shop, "first", mode=mode)
    await Shift(shop, api, pool).scale(pool, 8)
    await set_replicas(shop, 5)
    shift = Shift(shop, api, pool)
    await shift.look(pool)

    await shift.lose(shop, pool)

    assert (await shop.replicas("existing"), await note(shop)) == (5, None)


async def test_a_note_that_was_copied_to_another_deployment_is_taken_off_and_nothing_else(
    shop: Shop, api: KubernetesApi
) -> None:
    pool = await open_pool(shop, "first")
    shift = Shift(shop, api, pool)
    await shift.scale(pool, 8)
    copied = existing_deployment("shop", "copied", replicas=6)
    copied["metadata"]["annotations"] = {NOTE: json.dumps(await note(shop))}
    await shop.cluster.create(copied)

    await shift.lose(shop, pool)
    await shift.sweep()

    assert (await shop.replicas("copied"), await note(shop, "copied")) == (6, None)
    assert await shop.replicas("existing") == 2


def autoscaler() -> Object:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "existing"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "hpa", "namespace": "shop"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 5},
    }
