"""The API server of the tests answers as a real one does: every sentence here holds for both.

Schemas, patches, lists and watches of a custom resource and of Deployments; what only ours can do (faults, journal)
is in `test_apiserver_faults.py`, what controllers do in `test_apiserver_controllers.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.api_cluster import APPLY, JSON, STRATEGIC, ApiCluster, Object, Refused
from tests.support.control_plane import ASSETS
from tests.support.crews import CREW_DEFINITION, crew, deployment

UNCHECKED = (
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)
TOO_WIDE = "Checked value must be of type integer with format int32"
MISMATCH = "does not match the namespace sent on the request"
NAMED = {"fieldRef": {"fieldPath": "metadata.name"}}
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


@pytest.fixture
async def crews(cluster: ApiCluster) -> ApiCluster:
    """A cluster that knows the kind Crew."""
    await cluster.define(CREW_DEFINITION)
    return cluster


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


async def test_fills_in_defaults_and_drops_what_the_schema_does_not_know(crews: ApiCluster, namespace: str) -> None:
    sent = crew(
        namespace, bogus=1, nested={"z": 1}, queues=[{"name": "q", "x": 1}], open={"any": 1}, nothing=None, max=None
    )

    made = await crews.create(sent)

    assert made["spec"] == {
        "size": 1,
        "port": 80,
        "colour": "Red",
        "nested": {"deep": "x"},
        "queues": [{"name": "q", "weight": 1}],
        "open": {"any": 1},
        "nothing": None,
    }


async def test_warns_of_unknown_fields_and_refuses_them_when_asked_to_be_strict(
    crews: ApiCluster, namespace: str
) -> None:
    path = crews.path("Crew", namespace)
    warned = await crews.ask("POST", path, crew(namespace, bogus=1), dryRun="All")
    refused = await crews.ask("POST", path, crew(namespace, bogus=1), fieldValidation="Strict")

    assert warned.headers["Warning"] == '299 - "unknown field \\"spec.bogus\\""'
    assert refused.status == 400
    assert refused.body["message"] == (
        'Crew in version "v1" cannot be handled as a Crew: strict decoding error: unknown field "spec.bogus"'
    )


def mistyped(field: str, found: str, wanted: str) -> tuple[str, str]:
    return field, f'Invalid value: "{found}": {field} in body must be of type {wanted}: "{found}"'


def should(field: str, value: str, rule: str) -> tuple[str, str]:
    return field, f"Invalid value: {value}: {field} in body should {rule}"


@pytest.mark.parametrize(
    ("spec", "causes"),
    [
        ({"size": -1}, [should("spec.size", "-1", "be greater than or equal to 0")]),
        ({"size": 101}, [should("spec.size", "101", "be less than or equal to 100")]),
        ({"size": "x"}, [UNCHECKED, mistyped("spec.size", "string", "integer")]),
        ({"size": True}, [UNCHECKED, mistyped("spec.size", "boolean", "integer")]),
        ({"max": 2**40}, [("<nil>", f'Invalid value: "": {TOO_WIDE} in spec.max')]),
        ({"colour": "X"}, [UNCHECKED, ("spec.colour", 'Unsupported value: "X": supported values: "Red", "Blue"')]),
        ({"word": "A1"}, [should("spec.word", '"A1"', "match '^[a-z]+$'")]),
        ({"word": "a"}, [should("spec.word", '"a"', "be at least 2 chars long")]),
        ({"word": "abcdef"}, [UNCHECKED, ("spec.word", "Too long: may not be more than 5 bytes")]),
        ({"ratio": 0}, [should("spec.ratio", "0", "be greater than 0")]),
        ({"amount": 1.5}, [UNCHECKED, mistyped("spec.amount", "number", "integer,string")]),
        ({"wait": "x"}, [UNCHECKED, mistyped("spec.wait", "x", "duration")]),
        ({"wait": "10ms"}, [("spec.wait", 'Invalid value: "10ms": wait must be 1s or more')]),
        ({"tags": ["a", "a"]}, [("spec.tags[1]", 'Duplicate value: "a"')]),
        ({"tags": list("abcd")}, [UNCHECKED, ("spec.tags", "Too many: 4: must have at most 3 items")]),
        ({"tags": ["bad"]}, [("spec.tags", "Invalid value: no tag may be bad")]),
        ({"ratio": 200}, [("spec.ratio", "Invalid value: 200: ratio must be small")]),
        ({"tags": []}, [should("spec.tags", "0", "have at least 1 items")]),
        ({"queues": [{"name": "a"}, {"name": "a"}]}, [("spec.queues[1]", 'Duplicate value: {"name":"a"}')]),
        ({"queues": [{"weight": 2}]}, [UNCHECKED, ("spec.queues[0].name", "Required value")]),
        ({"queues": [{"name": "a", "weight": -1}]}, [("spec.queues[0]", "Invalid value: weight must be positive")]),
        ({"queues": {}}, [UNCHECKED, mistyped("spec.queues", "object", "array")]),
        ({"labels": {"a": "long"}}, [UNCHECKED, ("spec.labels.a", "Too long: may not be more than 3 bytes")]),
        ({"size": 5, "max": 3}, [("spec", "Invalid value: size must not exceed max")]),
        ({"port": 13}, [("spec.port", "Forbidden: port 13 is unlucky")]),
    ],
)
async def test_refuses_what_the_schema_and_its_rules_do_not_allow(
    crews: ApiCluster, namespace: str, spec: Object, causes: list[tuple[str, str]]
) -> None:
    with pytest.raises(Refused) as refused:
        await crews.create(crew(namespace, **spec))

    assert (refused.value.status, refused.value.body["reason"]) == (422, "Invalid")
    assert refused.value.causes == causes


async def test_refuses_an_object_without_a_spec_or_with_a_bad_name(crews: ApiCluster, namespace: str) -> None:
    without = {**crew(namespace)}
    del without["spec"]
    with pytest.raises(Refused) as lacking:
        await crews.create(without)
    with pytest.raises(Refused) as misnamed:
        await crews.create(crew(namespace, name="A_b"))

    assert lacking.value.causes == [UNCHECKED, ("spec", "Required value")]
    assert [field for field, _ in misnamed.value.causes] == ["metadata.name"]


async def test_lets_no_field_change_whose_rule_says_that_it_may_not(crews: ApiCluster, namespace: str) -> None:
    await crews.create(crew(namespace, namespace="n"))

    with pytest.raises(Refused) as refused:
        await crews.patch("Crew", namespace, "a", {"spec": {"namespace": "m"}})

    assert refused.value.causes == [("spec.namespace", 'Invalid value: "m": namespace is immutable')]


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
    with pytest.raises(Refused) as refused:
        await crews.create(crew("nowhere"))

    assert made["metadata"]["name"].startswith("crew-")
    assert len(made["metadata"]["name"]) == len("crew-") + 5
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


async def test_removes_what_was_applied_and_leaves_its_empty_parents(crews: ApiCluster, namespace: str) -> None:
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
