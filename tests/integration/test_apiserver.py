"""The API server of the tests answers as a real one does: every sentence here, and in its sister files, holds for both.

Here: discovery, lists, and the built-in kinds. Schemas, writes, server-side apply, watches, controllers and access have
files of their own; what only ours can do (faults, journal) is in `test_apiserver_faults.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.api_cluster import ApiCluster, Object, Refused
from tests.support.control_plane import ASSETS
from tests.support.crews import crew, deployment

NAMED = {"fieldRef": {"fieldPath": "metadata.name"}}


def test_there_is_a_real_kube_apiserver_to_compare_with() -> None:
    if not ASSETS:
        pytest.skip("KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver: only our own server is tested")

    assert [name for name in ("etcd", "kube-apiserver") if not (Path(ASSETS) / name).exists()] == []


async def test_says_what_it_is_and_that_it_is_well(cluster: ApiCluster) -> None:
    version = await cluster.ask("GET", "/version")

    assert (version.body["major"], version.body["minor"]) == ("1", "36")
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await cluster.ask("GET", path)).body == "ok"


async def test_lists_its_groups_and_the_resources_of_each(crews: ApiCluster) -> None:
    groups = (await crews.ask("GET", "/apis")).body["groups"]
    apps = (await crews.ask("GET", "/apis/apps/v1")).body["resources"]
    core = (await crews.ask("GET", "/api")).body
    custom = (await crews.ask("GET", "/apis/example.dev/v1")).body["resources"]

    assert {"apps", "coordination.k8s.io", "events.k8s.io", "example.dev"} <= {group["name"] for group in groups}
    assert {"deployments", "deployments/status", "deployments/scale", "replicasets"} <= {it["name"] for it in apps}
    assert core["versions"] == ["v1"]
    assert [it["name"] for it in custom] == ["crews", "crews/status", "crews/scale"]
    assert (custom[0]["shortNames"], custom[0]["categories"]) == (["cw"], ["all"])


async def test_fills_in_what_a_deployment_leaves_open(cluster: ApiCluster, namespace: str) -> None:
    sent = deployment(namespace)
    sent["spec"]["template"]["spec"]["containers"][0] |= {
        "ports": [{"containerPort": 80}],
        "env": [{"name": "EMPTY", "value": ""}, {"name": "POD", "valueFrom": NAMED}],
        "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
        "args": [],
    }
    made = await cluster.create(sent)

    probe = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    field = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}
    assert made["spec"] == {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "worker",
                        "image": "worker:1",
                        "imagePullPolicy": "IfNotPresent",
                        "ports": [{"containerPort": 80, "protocol": "TCP"}],
                        "env": [{"name": "EMPTY"}, {"name": "POD", "valueFrom": field}],
                        "livenessProbe": {"httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}, **probe},
                        "resources": {},
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File",
                    }
                ],
                "restartPolicy": "Always",
                "terminationGracePeriodSeconds": 30,
                "dnsPolicy": "ClusterFirst",
                "securityContext": {},
                "schedulerName": "default-scheduler",
            },
        },
    }


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"replicas": -1}, ["spec.replicas"]),
        ({"selector": {"matchLabels": {"app": "other"}}}, ["spec.template.metadata.labels"]),
        ({"selector": None}, ["spec.selector", "spec.template.metadata.labels"]),
        ({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}, ["spec.strategy.rollingUpdate"]),
        ({"template": {"metadata": {"labels": {"app": "web"}}}}, ["spec.template.spec.containers"]),
    ],
)
async def test_refuses_a_deployment_that_cannot_be(
    cluster: ApiCluster, namespace: str, change: Object, fields: list[str]
) -> None:
    with pytest.raises(Refused) as refused:
        await cluster.create(deployment(namespace, **change))

    assert refused.value.status == 422
    assert [field for field, _ in refused.value.causes] == fields


async def test_keeps_a_deployments_selector_and_bounds_its_labels(cluster: ApiCluster, namespace: str) -> None:
    await cluster.create(deployment(namespace, replicas=0))
    change = {"spec": {"selector": {"matchLabels": {"app": "web", "tier": "x"}}}}
    with pytest.raises(Refused) as selector:
        await cluster.patch("Deployment", namespace, "web", change)
    with pytest.raises(Refused) as label:
        await cluster.patch("Deployment", namespace, "web", {"metadata": {"labels": {"long": "x" * 64}}})

    assert (
        "spec.selector",
        'Invalid value: {"matchLabels":{"app":"web","tier":"x"}}: field is immutable',
    ) in selector.value.causes
    assert label.value.causes == [("metadata.labels", f'Invalid value: "{"x" * 64}": must be no more than 63 bytes')]


async def test_takes_lease_times_to_the_microsecond_only(cluster: ApiCluster, namespace: str) -> None:
    def lease(time: str, duration: int = 15) -> Object:
        spec = {"holderIdentity": "a", "leaseDurationSeconds": duration, "renewTime": time}
        metadata = {"name": "l", "namespace": namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

    with pytest.raises(Refused) as coarse:
        await cluster.create(lease("2026-01-01T00:00:00Z"))
    with pytest.raises(Refused) as empty:
        await cluster.create(lease("2026-01-01T00:00:00.000000Z", 0))
    made = await cluster.create(lease("2026-01-01T00:00:00.000000Z"))

    assert coarse.value.status == 400
    assert empty.value.causes == [("spec.leaseDurationSeconds", "Invalid value: 0: must be greater than 0")]
    assert made["spec"]["renewTime"] == "2026-01-01T00:00:00.000000Z"


async def test_keeps_one_event_in_its_two_versions(cluster: ApiCluster, namespace: str) -> None:
    about = {"kind": "Crew", "namespace": namespace, "name": "a"}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": namespace},
        "involvedObject": about,
    }
    await cluster.create({**event, "reason": "Scaled", "message": "from 0 to 3", "type": "Normal"})

    newer = (await cluster.ask("GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/e")).body
    of_crew = await cluster.list("Event", namespace, fieldSelector="involvedObject.kind=Crew,involvedObject.name=a")
    of_pods = await cluster.list("Event", namespace, fieldSelector="involvedObject.kind=Pod")

    assert (newer["apiVersion"], newer["regarding"], newer["note"]) == ("events.k8s.io/v1", about, "from 0 to 3")
    assert [it["metadata"]["name"] for it in of_crew] == ["e"]
    assert of_pods == []


async def test_encodes_what_a_secret_is_given_in_plain_text(cluster: ApiCluster, namespace: str) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": namespace},
        "stringData": {"a": "b"},
    }
    made = await cluster.create(secret)

    assert (made["data"], made["type"], "stringData" in made) == ({"a": "Yg=="}, "Opaque", False)


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ({"labelSelector": "tier=front"}, ["a"]),
        ({"labelSelector": "tier!=front"}, ["b", "c"]),
        ({"labelSelector": "tier in (front,back)"}, ["a", "b"]),
        ({"labelSelector": "tier notin (front)"}, ["b", "c"]),
        ({"labelSelector": "tier"}, ["a", "b"]),
        ({"labelSelector": "!tier"}, ["c"]),
        ({"labelSelector": "tier=back,size==big"}, ["b"]),
        ({"fieldSelector": "metadata.name=b"}, ["b"]),
        ({"fieldSelector": "metadata.name!=b"}, ["a", "c"]),
    ],
)
async def test_selects(crews: ApiCluster, namespace: str, selector: dict[str, str], names: list[str]) -> None:
    for name, labels in (("a", {"tier": "front"}), ("b", {"tier": "back", "size": "big"}), ("c", {})):
        body = crew(namespace, name)
        body["metadata"]["labels"] = labels
        await crews.create(body)

    assert [it["metadata"]["name"] for it in await crews.list("Crew", namespace, **selector)] == names


async def test_lists_in_pages(crews: ApiCluster, namespace: str) -> None:
    for name in ("c", "a", "b"):
        await crews.create(crew(namespace, name))
    path = crews.path("Crew", namespace)

    first = (await crews.ask("GET", path, limit="2")).body
    second = (await crews.ask("GET", path, limit="2", continue_=first["metadata"]["continue"])).body

    assert [it["metadata"]["name"] for it in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 1
    assert [it["metadata"]["name"] for it in second["items"]] == ["c"]
    assert not second["metadata"].get("continue")
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_prints_the_columns_of_the_definition(crews: ApiCluster, namespace: str) -> None:
    await crews.create(crew(namespace, size=4))
    conditions = {"status": {"conditions": [{"type": "Ready", "reason": "Idle"}]}}
    await crews.patch("Crew", namespace, "a", conditions, subresource="status")
    table = await crews.table("Crew", namespace)

    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size", "Ready"]
    assert [row["cells"] for row in table["rows"]] == [["a", 4, "Idle"]]
