"""Creating, replacing, patching and scaling: what a write may change, on our API server and on a real one."""

from __future__ import annotations

import pytest
from tests.support.api_cluster import JSON, STRATEGIC, ApiCluster, Object, Refused
from tests.support.crews import crew, deployment

MISMATCH = "does not match the namespace sent on the request"
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


async def test_counts_a_generation_for_each_change_of_the_spec_and_for_nothing_else(
    crews: ApiCluster, namespace: str
) -> None:
    made = await crews.create(crew(namespace))
    labelled = await crews.patch("Crew", namespace, "a", {"metadata": {"labels": {"a": "b"}}})
    told = await crews.patch("Crew", namespace, "a", {"status": {"note": "x"}}, subresource="status")
    changed = await crews.patch("Crew", namespace, "a", {"spec": {"size": 2}})

    assert [it["metadata"]["generation"] for it in (made, labelled, told, changed)] == [1, 1, 1, 2]
    assert len({it["metadata"]["resourceVersion"] for it in (made, labelled, told, changed)}) == 4


async def test_writes_nothing_where_nothing_changes(crews: ApiCluster, namespace: str) -> None:
    made = await crews.create(crew(namespace))
    again = await crews.patch("Crew", namespace, "a", {"spec": {"size": 1}})
    replaced = await crews.replace(made)

    assert again == made
    assert replaced == made


async def test_keeps_status_and_the_rest_apart(crews: ApiCluster, namespace: str) -> None:
    made = await crews.create({**crew(namespace), "status": {"note": "mine"}})
    by_main = await crews.patch("Crew", namespace, "a", {"spec": {"size": 2}, "status": {"note": "main"}})
    change = {"spec": {"size": 3}, "status": {"note": "told"}, "metadata": {"labels": {"a": "b"}}}
    by_status = await crews.patch("Crew", namespace, "a", change, subresource="status")

    assert "status" not in made
    assert "status" not in by_main
    assert by_status["status"] == {"note": "told"}
    assert by_status["spec"] == by_main["spec"]
    assert "labels" not in by_status["metadata"]


async def test_refuses_a_write_that_is_based_on_an_older_version(crews: ApiCluster, namespace: str) -> None:
    made = await crews.create(crew(namespace))
    await crews.patch("Crew", namespace, "a", {"spec": {"size": 2}})
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}

    for attempt in (
        crews.replace(made),
        crews.patch("Crew", namespace, "a", stale),
        crews.patch("Crew", namespace, "a", {**stale, "status": {"note": "x"}}, subresource="status"),
    ):
        with pytest.raises(Refused) as refused:
            await attempt
        assert (refused.value.status, refused.value.body["reason"]) == (409, "Conflict")
        assert refused.value.body["message"] == f'Operation cannot be fulfilled on crews.example.dev "a": {MODIFIED}'


async def test_replaces_a_custom_resource_only_by_its_version(crews: ApiCluster, namespace: str) -> None:
    await crews.create(crew(namespace))

    with pytest.raises(Refused) as refused:
        await crews.replace(crew(namespace, size=2))

    assert refused.value.causes == [("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")]


@pytest.mark.parametrize(
    ("method", "path", "metadata", "status", "message"),
    [
        ("GET", "/nope", {}, 404, 'crews.example.dev "nope" not found'),
        ("DELETE", "/nope", {}, 404, 'crews.example.dev "nope" not found'),
        ("POST", "", {"namespace": "other"}, 400, f"the namespace of the provided object {MISMATCH}"),
        ("PUT", "/a", {"name": "b"}, 400, "the name of the object (b) does not match the name on the URL (a)"),
        ("POST", "", {"resourceVersion": "1"}, 500, "resourceVersion should not be set on objects to be created"),
        ("GET", "?fieldSelector=spec.size%3D1", {}, 400, "field label not supported: spec.size"),
    ],
)
async def test_says_what_is_wrong_with_a_request(
    crews: ApiCluster, namespace: str, method: str, path: str, metadata: Object, status: int, message: str
) -> None:
    body = crew(namespace)
    body["metadata"] |= metadata
    sent = None if method in ("GET", "DELETE") else body
    reply = await crews.ask(method, crews.path("Crew", namespace) + path, sent)

    assert (reply.status, reply.body["message"]) == (status, message)


async def test_makes_a_thing_of_one_name_once(crews: ApiCluster, namespace: str) -> None:
    await crews.create(crew(namespace))

    with pytest.raises(Refused) as refused:
        await crews.create(crew(namespace))

    assert (refused.value.status, refused.value.body["reason"]) == (409, "AlreadyExists")


async def test_makes_up_names_and_puts_nothing_into_a_namespace_that_is_not_there(
    crews: ApiCluster, namespace: str
) -> None:
    nameless = crew(namespace)
    nameless["metadata"] = {"generateName": "crew-", "namespace": namespace}
    made = await crews.create(nameless)
    nameless["metadata"]["generateName"] = "x" * 70
    long = await crews.create(nameless)
    with pytest.raises(Refused) as refused:
        await crews.create(crew("nowhere"))

    assert made["metadata"]["name"].startswith("crew-")
    assert len(made["metadata"]["name"]) == len("crew-") + 5
    assert (len(long["metadata"]["name"]), long["metadata"]["name"][:58]) == (63, "x" * 58)
    assert refused.value.body["message"] == 'namespaces "nowhere" not found'


async def test_patches_by_merging_and_by_operations(crews: ApiCluster, namespace: str) -> None:
    await crews.create(crew(namespace, open={"a": 1, "b": {"c": 2}}))
    merged = await crews.patch("Crew", namespace, "a", {"spec": {"open": {"a": None, "b": {"d": 3}}}})
    steps = [{"op": "test", "path": "/spec/size", "value": 1}, {"op": "replace", "path": "/spec/size", "value": 7}]
    stepped = await crews.patch("Crew", namespace, "a", steps, media_type=JSON)

    assert merged["spec"]["open"] == {"b": {"c": 2, "d": 3}}
    assert stepped["spec"]["size"] == 7


async def test_applies_no_operation_when_a_test_among_them_fails(crews: ApiCluster, namespace: str) -> None:
    await crews.create(crew(namespace))
    steps = [{"op": "replace", "path": "/spec/size", "value": 7}, {"op": "test", "path": "/spec/size", "value": 1}]

    with pytest.raises(Refused) as refused:
        await crews.patch("Crew", namespace, "a", steps, media_type=JSON)

    assert (refused.value.status, refused.value.body["reason"]) == (422, "Invalid")
    assert (await crews.get("Crew", namespace, "a"))["spec"]["size"] == 1


async def test_takes_a_strategic_patch_of_a_deployment_but_not_of_a_custom_resource(
    crews: ApiCluster, namespace: str
) -> None:
    await crews.create(crew(namespace))
    await crews.create(deployment(namespace, replicas=0))
    change = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}}

    patched = await crews.patch("Deployment", namespace, "web", change, media_type=STRATEGIC)
    with pytest.raises(Refused) as refused:
        await crews.patch("Crew", namespace, "a", {"spec": {"size": 2}}, media_type=STRATEGIC)

    assert sorted(it["name"] for it in patched["spec"]["template"]["spec"]["containers"]) == ["side", "worker"]
    assert (refused.value.status, refused.value.body["reason"]) == (415, "UnsupportedMediaType")


async def test_tries_a_write_without_doing_it(crews: ApiCluster, namespace: str) -> None:
    made = await crews.create(crew(namespace, name="tried"), dryRun="All")
    kept = await crews.create(crew(namespace))
    patched = await crews.patch("Crew", namespace, "a", {"spec": {"size": 9}}, dryRun="All")

    assert made["spec"]["colour"] == "Red"
    assert patched["spec"]["size"] == 9
    assert await crews.list("Crew", namespace) == [kept]


async def test_scales_a_custom_resource_by_the_paths_of_its_definition(crews: ApiCluster, namespace: str) -> None:
    await crews.create(crew(namespace, replicas=2))
    status = {"status": {"replicas": 1, "selector": "app=x"}}
    await crews.patch("Crew", namespace, "a", status, subresource="status")
    scaled = await crews.patch("Crew", namespace, "a", {"spec": {"replicas": 3}}, subresource="scale")
    read = await crews.get("Crew", namespace, "a", "scale")
    with pytest.raises(Refused) as refused:
        await crews.patch("Crew", namespace, "a", {"spec": {"replicas": -1}}, subresource="scale")
    found = await crews.get("Crew", namespace, "a")

    assert scaled == read
    assert (read["kind"], read["apiVersion"], read["metadata"]["name"]) == ("Scale", "autoscaling/v1", "a")
    assert (read["spec"], read["status"]) == ({"replicas": 3}, {"replicas": 1, "selector": "app=x"})
    assert refused.value.causes == [(".spec.replicas", "Invalid value: -1: should be a non-negative integer")]
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (3, 2)


async def test_scales_a_deployment_by_patch_and_by_put(cluster: ApiCluster, namespace: str) -> None:
    await cluster.create(deployment(namespace, replicas=0))
    patched = await cluster.patch("Deployment", namespace, "web", {"spec": {"replicas": 3}}, subresource="scale")
    stale = {**patched, "metadata": {**patched["metadata"], "resourceVersion": "1"}, "spec": {"replicas": 9}}
    conflict = await cluster.ask("PUT", cluster.path("Deployment", namespace, "web", "scale"), stale)
    with pytest.raises(Refused) as negative:
        await cluster.patch("Deployment", namespace, "web", {"spec": {"replicas": -1}}, subresource="scale")
    with pytest.raises(Refused) as missing:
        await cluster.patch("Deployment", namespace, "nope", {"spec": {"replicas": 1}}, subresource="scale")

    assert (patched["spec"], patched["status"]["selector"]) == ({"replicas": 3}, "app=web")
    assert conflict.status == 409
    assert negative.value.causes == [("spec.replicas", "Invalid value: -1: must be greater than or equal to 0")]
    assert missing.value.body["message"] == 'deployments.apps "nope" not found'
