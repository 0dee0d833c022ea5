"""The operator from outside: a process that watches a cluster, a real Redis, and what comes of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from tests.support.api_cluster import ApiCluster, Capabilities, Refused
from tests.support.operator import KOPF_WAITS, RunningOperator, operating
from tests.support.redis import RedisServer
from tests.support.shop import Shop, existing_deployment, installed
from tests.support.workerpools import ABSENT, CRD_FILE


@pytest.fixture
async def shop(cluster: ApiCluster, namespace: str, redis_server: RedisServer, tmp_path: Path) -> Shop:
    await cluster.install_crd(CRD_FILE)
    return await installed(cluster, namespace, redis_server.url, tmp_path)


@pytest.fixture
async def operator(shop: Shop) -> AsyncIterator[RunningOperator]:
    async with shop.operating("--interval", "0.1") as running:
        yield running


async def test_makes_a_deployment_of_its_own_that_waits_at_zero(shop: Shop, operator: RunningOperator) -> None:
    pool = await shop.open_pool()
    await shop.until_replicas(0)

    made = await shop.deployment()
    assert made is not None
    (owner,) = made["metadata"]["ownerReferences"]
    container = made["spec"]["template"]["spec"]["containers"][0]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("WorkerPool", pool["metadata"]["uid"], True)
    assert {"name": "REDIS_URL", "value": shop.url} in container["env"]
    assert container["lifecycle"]["preStop"] == {"exec": {"command": ["crewcall-worker", "drain", "--wait"]}}
    assert made["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 600


async def test_calls_the_replicas_that_a_backlog_needs_and_sends_them_home(
    shop: Shop, operator: RunningOperator
) -> None:
    await shop.open_pool()
    await shop.until_replicas(0)

    shop.arrive(95)
    await shop.until_replicas(5)
    shop.finish()
    await shop.until_replicas(0)

    last = await shop.cluster.until(lambda: _last_decision(shop, "Idle"), "the way down in status")
    assert (last["from"], last["to"]) in {(5, 0), (1, 0)}
    events = await shop.cluster.until(lambda: _events(shop, "Idle"), "the Events")
    reason, message = events[0]
    assert reason == "Activated"
    assert message.startswith("Scaled up from 0 to 5: 95 ready, oldest 0.")
    assert message.endswith(" s, 0 in flight; 5 replicas at 20 each")


async def test_shows_what_it_sees_in_the_status(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool(queues=[{"name": "sms"}, {"name": "emial"}])
    shop.arrive(30)
    await shop.until_replicas(2)
    await shop.until_condition(
        "ScalingActive", lambda status, reason, _: (status, reason) == ("True", "ValidMetricFound")
    )

    status = await shop.cluster.until(lambda: _settled(shop, replicas=2), "both replicas in status")
    assert {name: status[name] for name in ("observedGeneration", "desiredReplicas", "selector", "backlog")} == {
        "observedGeneration": 1,
        "desiredReplicas": 2,
        "selector": "crewcall.dev/pool=notifications",
        "backlog": "30",
    }
    assert await shop.condition("QueuesSeen") == (
        "False",
        "QueueNeverSeen",
        'never seen in Redis: "emial"; right if no job was ever sent there, otherwise check the name',
    )


async def test_rolls_a_new_template_out_without_touching_the_replicas(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool()
    shop.arrive(60)
    await shop.until_replicas(3)

    containers = [{"name": "worker", "image": "example/worker:2"}]
    await shop.change_pool({"template": {"spec": {"containers": containers}}})

    async def has_new_image() -> bool:
        found = await shop.deployment()
        assert found is not None
        assert found["spec"]["replicas"] == 3
        return bool(found["spec"]["template"]["spec"]["containers"][0]["image"] == "example/worker:2")

    await shop.cluster.until(has_new_image, "the new image")


async def test_waits_for_a_deployment_that_is_not_there_yet(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool(template=ABSENT, deploymentRef={"name": "late"})
    shop.arrive(40)
    _, reason, message = await shop.until_condition("AbleToScale", lambda status, *_: status == "False")
    assert (reason, message) == (
        "FailedGetScale",
        f"there is no Deployment {shop.namespace}/late; make it, or name another one in spec.deploymentRef.name",
    )

    await shop.cluster.create(existing_deployment(shop.namespace, "late", replicas=0))

    await shop.until_replicas(2, "late")


async def test_touches_no_deployment_of_the_pools_name_that_is_somebody_elses(
    shop: Shop, operator: RunningOperator
) -> None:
    await shop.cluster.create(existing_deployment(shop.namespace, "notifications", replicas=1))
    await shop.open_pool()
    shop.arrive(400)

    _, reason, message = await shop.until_condition("AbleToScale", lambda status, *_: status == "False")

    assert reason == "DeploymentNotOwned"
    assert "spec.deploymentRef" in message
    assert await shop.replicas() == 1


async def test_two_pools_do_not_fight_for_one_existing_deployment(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool()
    shop.arrive(60)
    await shop.until_replicas(3)

    await shop.open_pool("second", template=ABSENT, deploymentRef={"name": "notifications"}, minReplicas=1)
    _, reason, message = await shop.until_condition("AbleToScale", lambda status, *_: status == "False", "second")

    assert reason == "AmbiguousTarget"
    assert "notifications" in message
    assert await shop.replicas() == 3


async def test_a_deployment_that_a_pool_leaves_for_another_is_free(shop: Shop, operator: RunningOperator) -> None:
    for name in ("old", "new"):
        await shop.cluster.create(existing_deployment(shop.namespace, name, replicas=0))
    await shop.open_pool("first", template=ABSENT, deploymentRef={"name": "old"}, minReplicas=1)
    await shop.until_replicas(1, "old")

    await shop.change_pool({"deploymentRef": {"name": "new"}}, "first")
    await shop.until_replicas(1, "new")
    await shop.open_pool("second", template=ABSENT, deploymentRef={"name": "old"}, minReplicas=2)

    await shop.until_replicas(2, "old")


async def test_a_pool_keeps_to_its_template_lest_its_workers_be_left_behind(shop: Shop) -> None:
    await shop.open_pool()

    with pytest.raises(Refused, match="a pool keeps to its template"):
        await shop.change_pool({"template": None, "deploymentRef": {"name": "existing"}})


async def test_recommends_for_a_pool_that_was_never_made(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool(mode="Recommend")
    shop.arrive(60)

    await shop.cluster.until(lambda: _settled(shop, replicas=0, desired=3), "the recommendation")

    assert await shop.deployment() is None


async def test_sets_right_what_somebody_else_has_scaled(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool()
    shop.arrive(60)
    await shop.until_replicas(3)

    await shop.cluster.patch("Deployment", shop.namespace, "notifications", {"spec": {"replicas": 1}})

    await shop.until_replicas(3)


async def test_pauses_and_pins_on_request(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool(mode="Paused", minReplicas=0)
    shop.arrive(60)
    await shop.until_condition("ScalingActive", lambda *found: "Paused" in found[2])
    await shop.change_pool({"mode": "Auto"})
    await shop.until_replicas(3)

    await shop.cluster.patch(
        "WorkerPool", shop.namespace, "notifications", {"spec": {"replicas": 7}}, subresource="scale"
    )

    await shop.until_replicas(7)


async def test_recommends_without_touching_anything(shop: Shop, operator: RunningOperator) -> None:
    await shop.cluster.create(existing_deployment(shop.namespace, "existing", replicas=1))
    await shop.open_pool(template=ABSENT, deploymentRef={"name": "existing"}, mode="Recommend")
    shop.arrive(60)

    await shop.cluster.until(lambda: _settled(shop, replicas=1, desired=3), "the recommendation")

    assert await shop.replicas("existing") == 1


@pytest.mark.pods
async def test_a_deleted_pool_takes_its_deployment_along(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool()
    await shop.until_replicas(0)

    await shop.cluster.delete("WorkerPool", shop.namespace, "notifications")

    async def is_gone() -> bool:
        return await shop.deployment() is None

    # The garbage collector of a real cluster looks for kinds that were just defined every 30 s.
    await shop.cluster.until(is_gone, "the Deployment is collected")


@pytest.mark.pods
async def test_a_pool_made_anew_under_its_old_name_gets_a_deployment_of_its_own(
    shop: Shop, operator: RunningOperator
) -> None:
    await shop.open_pool()
    await shop.until_replicas(0)
    await shop.cluster.delete("WorkerPool", shop.namespace, "notifications")
    again = await shop.open_pool()
    shop.arrive(60)

    async def is_its_own() -> bool:
        found = await shop.deployment()
        owners = found["metadata"]["ownerReferences"] if found else []
        return [owner["uid"] for owner in owners] == [again["metadata"]["uid"]]

    await shop.cluster.until(is_its_own, "a Deployment of the new pool")
    await shop.until_replicas(3)
    await shop.until_condition("Ready", lambda status, *_: status == "True")


async def test_goes_on_where_the_one_before_it_stopped(shop: Shop) -> None:
    async with shop.operating("--interval", "0.1"):
        await shop.open_pool()
        shop.arrive(60)
        await shop.until_replicas(3)
    assert await shop.replicas() == 3

    shop.arrive(40)
    async with shop.operating("--interval", "0.1"):
        await shop.until_replicas(5)


async def test_leaves_at_once_when_told_to_stop(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool()
    await shop.until_replicas(0)

    asked = time.monotonic()
    status = await operator.stop()

    assert status == 0
    assert time.monotonic() - asked < KOPF_WAITS
    assert operator.log[-1].endswith("stopped; every Deployment keeps the replicas it has")


async def test_leaves_at_once_when_told_to_stop_while_it_waits_for_the_cluster(tmp_path: Path) -> None:
    nowhere = ApiCluster("http://127.0.0.1:9", "none", Capabilities(has_pods=False, runs_pods=False))

    async with operating(nowhere.write_kubeconfig(tmp_path), until="waiting for the cluster") as running:
        asked = time.monotonic()
        status = await running.stop()

        assert time.monotonic() - asked < KOPF_WAITS
    assert status == 0


async def test_serves_metrics_and_probes(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool()
    shop.arrive(60)
    await shop.until_replicas(3)

    async with aiohttp.ClientSession(f"http://{operator.address}") as session:
        answers = {path: await (await session.get(path)).text() for path in ("/healthz", "/readyz", "/metrics")}

    labels = f'namespace="{shop.namespace}",pool="notifications"'
    assert (answers["/healthz"], answers["/readyz"]) == ("ok\n", "ok\n")
    assert f'crewcall_queue_ready_jobs{{{labels},queue="sms"}} 60.0' in answers["/metrics"]
    assert f'crewcall_scale_changes_total{{direction="up",{labels}}} 1.0' in answers["/metrics"]


async def _last_decision(shop: Shop, reason: str) -> dict[str, object] | None:
    last = (await shop.status()).get("lastDecision", {})
    return last if last.get("reason") == reason else None


async def _events(shop: Shop, until_reason: str) -> list[tuple[str, str]] | None:
    events = await shop.events()
    return events if events and events[-1][0] == until_reason else None


async def _settled(shop: Shop, replicas: int, desired: int | None = None) -> dict[str, object] | None:
    status = await shop.status()
    found = status.get("replicas"), status.get("desiredReplicas")
    return status if found == (replicas, replicas if desired is None else desired) else None
