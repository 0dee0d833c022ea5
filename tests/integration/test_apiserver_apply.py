"""Server-side apply: who owns what, and what becomes of it, on our API server and on a real one."""

from __future__ import annotations

import pytest
from tests.support.api_cluster import APPLY, ApiCluster, Refused
from tests.support.crews import crew, deployment


async def test_applies_by_owner(crews: ApiCluster, namespace: str) -> None:
    first = await crews.apply(crew(namespace, word="ab", queues=[{"name": "one", "weight": 2}]), "alice")
    second = await crews.apply(crew(namespace, queues=[{"name": "two", "weight": 3}]), "bob")
    third = await crews.apply(crew(namespace, queues=[{"name": "one", "weight": 4}]), "alice")
    fourth = await crews.apply(crew(namespace), "alice")

    assert first["metadata"]["generation"] == 1
    assert second["spec"]["word"] == "ab"
    assert second["spec"]["queues"] == [{"name": "one", "weight": 2}, {"name": "two", "weight": 3}]
    assert "word" not in third["spec"]
    assert third["spec"]["queues"] == [{"name": "one", "weight": 4}, {"name": "two", "weight": 3}]
    assert fourth["spec"]["queues"] == [{"name": "two", "weight": 3}]


async def test_removes_what_was_applied_and_the_parents_that_this_empties(crews: ApiCluster, namespace: str) -> None:
    body = crew(namespace, open={"a": {"b": 1}}, labels={"x": "y"})
    body["metadata"]["annotations"] = {"note": "1"}
    await crews.apply(body, "alice")
    applied = await crews.apply(crew(namespace), "alice")

    assert applied["spec"] == {"size": 1, "port": 80, "colour": "Red", "nested": {"deep": "x"}}
    assert "annotations" not in applied["metadata"]


async def test_refuses_to_apply_over_another_owner_unless_forced(crews: ApiCluster, namespace: str) -> None:
    await crews.apply(crew(namespace, word="ab"), "alice")
    await crews.patch("Crew", namespace, "a", {"spec": {"port": 81}}, fieldManager="kubectl-edit")

    with pytest.raises(Refused) as one:
        await crews.apply(crew(namespace, word="cd"), "bob")
    with pytest.raises(Refused) as several:
        await crews.apply(crew(namespace, size=2, word="cd"), "bob")
    with pytest.raises(Refused) as updated:
        await crews.apply(crew(namespace, port=82), "bob")
    forced = await crews.apply(crew(namespace, word="cd"), "bob", force="true")

    assert one.value.status == 409
    assert one.value.body["message"] == 'Apply failed with 1 conflict: conflict with "alice": .spec.word'
    assert several.value.causes == [(".spec.size", 'conflict with "alice"'), (".spec.word", 'conflict with "alice"')]
    assert several.value.body["message"] == (
        'Apply failed with 2 conflicts: conflicts with "alice":\n- .spec.size\n- .spec.word'
    )
    assert updated.value.causes == [(".spec.port", 'conflict with "kubectl-edit" using example.dev/v1')]
    assert forced["spec"]["word"] == "cd"


async def test_leaves_replicas_to_who_scales_them_when_apply_does_not_name_them(
    cluster: ApiCluster, namespace: str
) -> None:
    await cluster.apply(deployment(namespace), "operator")
    scale = {"spec": {"replicas": 3}}
    await cluster.patch("Deployment", namespace, "web", scale, subresource="scale", fieldManager="operator")

    applied = await cluster.apply(deployment(namespace, image="worker:2"), "operator")

    assert applied["spec"]["replicas"] == 3
    assert applied["spec"]["template"]["spec"]["containers"][0]["image"] == "worker:2"


async def test_demands_a_manager_and_a_kind_of_what_is_applied(cluster: ApiCluster, namespace: str) -> None:
    path = cluster.path("ConfigMap", namespace, "a")
    nobody = await cluster.ask("PATCH", path, {"apiVersion": "v1", "kind": "ConfigMap"}, media_type=APPLY)
    nothing = await cluster.ask("PATCH", path, {"kind": "ConfigMap"}, media_type=APPLY, fieldManager="a")

    assert (nobody.status, nobody.body["details"]["causes"][0]["field"]) == (422, "fieldManager")
    assert (nothing.status, nothing.body["message"]) == (400, "invalid object type: /, Kind=ConfigMap")


async def test_says_which_fields_a_manager_owns(cluster: ApiCluster, namespace: str) -> None:
    made = await cluster.apply(deployment(namespace, replicas=0), "alice")

    assert [it["fieldsV1"]["f:spec"] for it in made["metadata"]["managedFields"] if it["manager"] == "alice"] == [
        {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {"f:containers": {'k:{"name":"worker"}': {".": {}, "f:name": {}, "f:image": {}}}},
            },
        }
    ]
