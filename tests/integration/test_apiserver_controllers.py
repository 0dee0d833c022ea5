"""What follows of a write: garbage collection, namespaces, ReplicaSets and pods, on our API server and on a real one.

A real kube-apiserver alone does none of it: beside it these run where a kube-controller-manager is. Pods are never
run there, so what needs them to run is tried on ours only.
"""

from __future__ import annotations

import pytest
from tests.support.api_cluster import ApiCluster, Object, Refused
from tests.support.apiserver import ApiServer, ServerOptions
from tests.support.apiserver.controller import PODS
from tests.support.apiserver.deletion import Deletion, delete
from tests.support.apiserver.deployments import DeploymentController
from tests.support.crews import deployment

pytestmark = pytest.mark.pods
COST = "controller.kubernetes.io/pod-deletion-cost"


def config(namespace: str, name: str, *owners: Object, **metadata: object) -> Object:
    references = [
        {**{k: it[k] for k in ("apiVersion", "kind")}, **{k: it["metadata"][k] for k in ("name", "uid")}}
        for it in owners
    ]
    metadata = {"name": name, "namespace": namespace, "ownerReferences": references, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


async def until_gone(cluster: ApiCluster, kind: str, namespace: str, name: str) -> None:
    async def is_gone() -> bool:
        return await cluster.find(kind, namespace, name) is None

    await cluster.until(is_gone, f"{kind} {name} gone")


async def until_pods(cluster: ApiCluster, namespace: str, count: int) -> list[Object]:
    """The pods, once there are `count` of them and none is ending."""

    async def look() -> tuple[list[Object]] | None:
        pods = await cluster.list("Pod", namespace)
        alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return (alive,) if len(alive) == len(pods) == count else None

    found = await cluster.until(look, f"{count} pods")
    return found[0] if found else []


async def test_collects_what_has_lost_its_owner(cluster: ApiCluster, namespace: str) -> None:
    owner = await cluster.create(config(namespace, "owner"))
    other = await cluster.create(config(namespace, "other"))
    await cluster.create(config(namespace, "child", owner))
    await cluster.create(config(namespace, "shared", owner, other))

    await cluster.delete("ConfigMap", namespace, "owner")
    await until_gone(cluster, "ConfigMap", namespace, "child")

    async def has_one_owner() -> bool:
        shared = await cluster.get("ConfigMap", namespace, "shared")
        return [it["name"] for it in shared["metadata"]["ownerReferences"]] == ["other"]

    await cluster.until(has_one_owner, "the lost owner struck out")


async def test_collects_what_is_made_for_an_owner_that_is_not_there(cluster: ApiCluster, namespace: str) -> None:
    ghost = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "ghost", "uid": "00000000-0000-0000-0000-000000000001"},
    }
    await cluster.create(config(namespace, "child", ghost))

    await until_gone(cluster, "ConfigMap", namespace, "child")


async def test_leaves_the_dependents_when_told_to_orphan_them(cluster: ApiCluster, namespace: str) -> None:
    owner = await cluster.create(config(namespace, "owner"))
    await cluster.create(config(namespace, "child", owner))

    await cluster.delete("ConfigMap", namespace, "owner", propagationPolicy="Orphan")
    await until_gone(cluster, "ConfigMap", namespace, "owner")

    child = await cluster.get("ConfigMap", namespace, "child")
    assert "ownerReferences" not in child["metadata"]


async def test_lets_the_dependents_go_first_in_the_foreground(cluster: ApiCluster, namespace: str) -> None:
    owner = await cluster.create(config(namespace, "owner"))
    child = config(namespace, "child", owner, finalizers=["example.dev/hold"])
    child["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = True
    await cluster.create(child)

    left = await cluster.delete("ConfigMap", namespace, "owner", propagationPolicy="Foreground")

    async def is_marked() -> bool:
        return "deletionTimestamp" in (await cluster.get("ConfigMap", namespace, "child"))["metadata"]

    await cluster.until(is_marked, "the dependent marked for deletion")
    still = await cluster.find("ConfigMap", namespace, "owner")
    await cluster.patch("ConfigMap", namespace, "child", {"metadata": {"finalizers": None}})
    await until_gone(cluster, "ConfigMap", namespace, "owner")

    assert left["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert still is not None


async def test_keeps_what_has_a_finalizer_until_it_is_taken_off(cluster: ApiCluster, namespace: str) -> None:
    await cluster.create(config(namespace, "kept", finalizers=["example.dev/hold"]))

    marked = await cluster.delete("ConfigMap", namespace, "kept")
    change = {"metadata": {"finalizers": ["example.dev/hold", "example.dev/more"]}}
    with pytest.raises(Refused) as refused:
        await cluster.patch("ConfigMap", namespace, "kept", change)
    last = await cluster.patch("ConfigMap", namespace, "kept", {"metadata": {"finalizers": None}})

    assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
    assert refused.value.causes == [
        (
            "metadata.finalizers",
            "Forbidden: no new finalizers can be added if the object is being deleted, "
            'found new finalizers []string{"example.dev/more"}',
        )
    ]
    assert "finalizers" not in last["metadata"]
    assert await cluster.find("ConfigMap", namespace, "kept") is None


async def test_deletes_only_what_is_still_the_same(cluster: ApiCluster, namespace: str) -> None:
    made = await cluster.create(config(namespace, "a"))
    path = cluster.path("ConfigMap", namespace, "a")

    other = await cluster.ask("DELETE", path, {"preconditions": {"uid": "another"}})
    same = await cluster.ask("DELETE", path, {"preconditions": {"uid": made["metadata"]["uid"]}})

    assert (other.status, other.body["reason"]) == (409, "Conflict")
    assert (same.status, same.body["status"]) == (200, "Success")
    assert same.body["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}


async def test_deletes_a_selection_at_once(cluster: ApiCluster, namespace: str) -> None:
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "1"}), ("c", {"x": "2"})):
        await cluster.create(config(namespace, name, labels=labels))

    await cluster.ask("DELETE", cluster.path("ConfigMap", namespace), labelSelector="x=1")

    names = {it["metadata"]["name"] for it in await cluster.list("ConfigMap", namespace)}
    assert names - {"kube-root-ca.crt"} == {"c"}


async def test_empties_a_namespace_that_is_deleted_and_lets_nothing_new_in(cluster: ApiCluster) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "doomed-"}}
    name = (await cluster.create(body))["metadata"]["name"]
    await cluster.create(config(name, "held", finalizers=["example.dev/hold"]))
    await cluster.create(config(name, "free"))

    left = await cluster.delete("Namespace", "", name)
    await until_gone(cluster, "ConfigMap", name, "free")
    with pytest.raises(Refused) as refused:
        await cluster.create(config(name, "late"))
    await cluster.patch("ConfigMap", name, "held", {"metadata": {"finalizers": None}})
    await until_gone(cluster, "Namespace", "", name)

    assert left["status"]["phase"] == "Terminating"
    assert (refused.value.status, refused.value.body["reason"]) == (403, "Forbidden")
    assert refused.value.causes == [("metadata.namespace", f"namespace {name} is being terminated")]


async def test_makes_a_replica_set_and_pods_of_a_deployment(cluster: ApiCluster, namespace: str) -> None:
    made = await cluster.create(deployment(namespace, replicas=3))
    pods = await until_pods(cluster, namespace, 3)
    (replica_set,) = await cluster.list("ReplicaSet", namespace)

    digest = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert replica_set["metadata"]["name"] == f"web-{digest}"
    assert replica_set["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert replica_set["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "web",
            "uid": made["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    for pod in pods:
        assert pod["metadata"]["name"].startswith(f"web-{digest}-")
        assert pod["metadata"]["generateName"] == f"web-{digest}-"
        assert pod["metadata"]["labels"] == {"app": "web", "pod-template-hash": digest}
        assert [it["name"] for it in pod["metadata"]["ownerReferences"]] == [f"web-{digest}"]
        assert pod["spec"]["containers"][0]["image"] == "worker:1"


async def test_tells_in_a_deployments_status_how_far_it_is(cluster: ApiCluster, namespace: str) -> None:
    await cluster.create(deployment(namespace, replicas=2))
    await cluster.patch("Deployment", namespace, "web", {"spec": {"replicas": 3}}, subresource="scale")

    async def look() -> Object | None:
        found = await cluster.get("Deployment", namespace, "web")
        status: Object = found["status"]
        return status if (status.get("observedGeneration"), status.get("replicas")) == (2, 3) else None

    status = await cluster.until(look, "the Deployment's status to follow") or {}
    scale = await cluster.get("Deployment", namespace, "web", "scale")

    assert status["updatedReplicas"] == 3
    assert {it["type"] for it in status["conditions"]} == {"Available", "Progressing"}
    assert scale["status"] == {"replicas": 3, "selector": "app=web"}


async def test_takes_the_pods_of_the_lowest_deletion_cost_first(cluster: ApiCluster, namespace: str) -> None:
    await cluster.create(deployment(namespace, replicas=6))
    pods = await until_pods(cluster, namespace, 6)
    if cluster.capabilities.runs_pods:
        await until_ready(cluster, namespace, 6)
    marked = sorted(pod["metadata"]["name"] for pod in pods)[::2]
    for name in marked:
        await cluster.patch("Pod", namespace, name, {"metadata": {"annotations": {COST: "-1"}}})

    await cluster.patch("Deployment", namespace, "web", {"spec": {"replicas": 3}}, subresource="scale")

    left = await until_pods(cluster, namespace, 3)
    assert set(marked).isdisjoint(pod["metadata"]["name"] for pod in left)


async def test_replaces_a_pod_that_is_deleted(cluster: ApiCluster, namespace: str) -> None:
    await cluster.create(deployment(namespace, replicas=2))
    first, second = await until_pods(cluster, namespace, 2)

    await cluster.delete("Pod", namespace, first["metadata"]["name"], gracePeriodSeconds="0")

    async def is_replaced() -> bool:
        names = {pod["metadata"]["name"] for pod in await cluster.list("Pod", namespace)}
        return len(names) == 2 and first["metadata"]["name"] not in names and second["metadata"]["name"] in names

    await cluster.until(is_replaced, "another pod in place of the deleted one")


async def test_takes_everything_of_a_deployment_along_when_it_goes(cluster: ApiCluster, namespace: str) -> None:
    await cluster.create(deployment(namespace, replicas=2))
    await until_pods(cluster, namespace, 2)

    await cluster.delete("Deployment", namespace, "web")
    await until_pods(cluster, namespace, 0)

    assert await cluster.list("ReplicaSet", namespace) == []


async def test_starts_a_second_replica_set_for_another_template(cluster: ApiCluster, namespace: str) -> None:
    await cluster.create(deployment(namespace, replicas=4))
    await until_pods(cluster, namespace, 4)
    if cluster.capabilities.runs_pods:
        await until_ready(cluster, namespace, 4)
    image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "worker:2"}]
    await cluster.patch("Deployment", namespace, "web", image, media_type="application/json-patch+json")

    async def look() -> list[str] | None:
        sets = await cluster.list("ReplicaSet", namespace)
        return sorted(it["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for it in sets)[1:]

    assert await cluster.until(look, "a second ReplicaSet") == ["2"]


async def until_ready(cluster: ApiCluster, namespace: str, count: int) -> None:
    async def is_ready() -> bool:
        status = (await cluster.get("Deployment", namespace, "web")).get("status", {})
        return (status.get("readyReplicas", 0), status.get("observedGeneration")) == (
            count,
            status.get("observedGeneration"),
        )

    await cluster.until(is_ready, f"{count} ready pods")


async def test_rolls_over_without_falling_below_what_is_to_be_available(memory: ApiCluster) -> None:
    await memory.create(deployment("default", replicas=4))
    await until_ready(memory, "default", 4)
    available: list[int] = []
    async with memory.watching("Deployment", "default") as events:
        image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "worker:2"}]
        await memory.patch("Deployment", "default", "web", image, media_type="application/json-patch+json")
        async for event in events:
            status = event["object"]["status"]
            available.append(status.get("availableReplicas", 0))
            told = [status.get(it) for it in ("observedGeneration", "updatedReplicas", "replicas", "availableReplicas")]
            if told == [2, 4, 4, 4]:
                break

    pods = [pod for pod in await memory.list("Pod", "default") if "deletionTimestamp" not in pod["metadata"]]
    assert min(available) >= 3
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"worker:2"}


async def test_ends_pods_that_are_not_ready_before_those_that_are(memory: ApiCluster) -> None:
    assert memory.server is not None
    await memory.create(deployment("default", replicas=3))
    await until_ready(memory, "default", 3)
    memory.server.kubelet.options.is_schedulable = False
    await memory.patch("Deployment", "default", "web", {"spec": {"replicas": 5}}, subresource="scale")
    pending = await until_pods(memory, "default", 5)
    names = {pod["metadata"]["name"] for pod in pending if pod["status"]["phase"] == "Pending"}

    await memory.patch("Deployment", "default", "web", {"spec": {"replicas": 3}}, subresource="scale")
    left = await until_pods(memory, "default", 3)

    assert len(names) == 2
    assert names.isdisjoint(pod["metadata"]["name"] for pod in left)


async def test_lets_a_pod_end_within_its_grace(memory: ApiCluster) -> None:
    assert memory.server is not None
    memory.server.kubelet.options.stops_after = 60.0
    await memory.create(deployment("default", replicas=1))
    await until_ready(memory, "default", 1)
    (pod,) = await until_pods(memory, "default", 1)
    name = pod["metadata"]["name"]

    ending = await memory.delete("Pod", "default", name)
    await memory.delete("Pod", "default", name, gracePeriodSeconds="0")

    assert ending["metadata"]["deletionGracePeriodSeconds"] == 30
    assert await memory.find("Pod", "default", name) is None


async def test_starts_a_crashed_pod_again_and_replaces_an_evicted_one(memory: ApiCluster) -> None:
    assert memory.server is not None
    await memory.create(deployment("default", replicas=1))
    await until_ready(memory, "default", 1)
    (pod,) = await until_pods(memory, "default", 1)
    name = pod["metadata"]["name"]

    memory.server.kubelet.crash("default", name)
    crashed = memory.server.store.get(PODS, ("default", name))
    assert crashed is not None  # looked at in the same turn, as it soon runs again
    await until_ready(memory, "default", 1)
    memory.server.kubelet.evict("default", name)

    async def is_replaced() -> bool:
        phases = {it["metadata"]["name"]: it["status"]["phase"] for it in await memory.list("Pod", "default")}
        return phases.pop(name) == "Failed" and list(phases.values()) == ["Running"]

    await memory.until(is_replaced, "another pod in place of the evicted one")
    (container,) = crashed.object["status"]["containerStatuses"]
    assert (container["restartCount"], container["state"]) == (1, {"waiting": {"reason": "CrashLoopBackOff"}})


async def test_makes_nothing_of_a_deployment_whose_namespace_is_about_to_go() -> None:
    async with ApiServer(ServerOptions(runs_controllers=False)) as server:
        server.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "doomed"}})
        server.create("deployments.apps", deployment("doomed", replicas=2))
        delete(server.writer, server.catalog.stored("namespaces"), ("", "doomed"), Deletion())
        for change in server.store.since("deployments.apps", 0) or ():
            DeploymentController(server.writer).react(change)

        assert server.store.all("replicasets.apps") == []


async def test_schedules_what_could_not_be_scheduled_once_there_is_room(memory: ApiCluster) -> None:
    assert memory.server is not None
    kubelet = memory.server.kubelet
    kubelet.options.is_schedulable = False
    await memory.create(deployment("default", replicas=1))

    async def reason() -> str:
        pods = await memory.list("Pod", "default")
        return "".join(it.get("reason", "") for pod in pods for it in pod["status"].get("conditions", ()))

    why = await memory.until(reason, "a pod that cannot be scheduled")
    kubelet.options.is_schedulable = True
    kubelet.retry()
    await until_ready(memory, "default", 1)

    assert why == "Unschedulable"
