"""The Deployment that a pool's template becomes, and what a change of it costs."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest
from tests.support.pools import pool as made_pool
from tests.support.workerpools import workerpool

from crewcall_operator.api.deployment import (
    deployment,
    environment,
    grace_period,
    is_owned_by,
    not_owned,
    pod_template,
    shutdown_timeout,
    template_change,
    worker_container,
)
from crewcall_operator.api.pool import Pool
from crewcall_operator.api.spec import read_pool


def pool(*containers: dict[str, Any], template: dict[str, Any] | None = None, **spec: Any) -> Pool:
    """A pool with these containers in its template."""
    pod = {"containers": list(containers or [{"name": "worker", "image": "example/worker"}])}
    resource = workerpool(template={"spec": pod} if template is None else template, **spec)
    resource["metadata"]["uid"] = "6f3c"
    return read_pool(resource)


def live(owner: Pool) -> dict[str, Any]:
    """The Deployment of `owner` as a cluster has it a while later."""
    made = deployment(owner)
    made["metadata"] |= {"uid": "d-1", "resourceVersion": "41", "generation": 3}
    made["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1"
    made["spec"]["replicas"] = 7
    return made


def changed(found: dict[str, Any], owner: Pool) -> dict[str, Any]:
    """`found` after the change to the template of `owner`, of which there is one."""
    change = template_change(owner, found)
    assert change is not None
    patched: dict[str, Any] = jsonpatch.apply_patch(found, change)
    return patched


def test_makes_a_deployment_without_replicas_that_goes_with_its_pool() -> None:
    made = deployment(pool(drain={"gracePeriod": "90s"}, concurrency=8, queues=[{"name": "sms"}, {"name": "email"}]))

    made["metadata"]["annotations"].pop("crewcall.dev/template-hash")
    labels = {
        "app.kubernetes.io/name": "crewcall-worker",
        "app.kubernetes.io/instance": "notifications",
        "app.kubernetes.io/managed-by": "crewcall",
        "crewcall.dev/pool": "notifications",
    }
    assert made == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "notifications",
            "namespace": "shop",
            "labels": labels,
            "annotations": {},
            "ownerReferences": [
                {
                    "apiVersion": "crewcall.dev/v1alpha1",
                    "kind": "WorkerPool",
                    "name": "notifications",
                    "uid": "6f3c",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"crewcall.dev/pool": "notifications"}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 90,
                    "containers": [
                        {
                            "name": "worker",
                            "image": "example/worker",
                            "env": [
                                {"name": "CREWCALL_POOL", "value": "notifications"},
                                {"name": "CREWCALL_NAMESPACE", "value": "shop"},
                                {"name": "REDIS_URL", "value": "redis://redis:6379/0"},
                                {"name": "CREWCALL_REDIS_NAMESPACE", "value": "dramatiq"},
                                {"name": "CREWCALL_QUEUES", "value": "sms,email"},
                                {"name": "CREWCALL_SHUTDOWN_TIMEOUT", "value": "85"},
                                {"name": "CREWCALL_THREADS", "value": "8"},
                                {
                                    "name": "CREWCALL_POD",
                                    "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
                                },
                            ],
                            "lifecycle": {"preStop": {"exec": {"command": ["crewcall-worker", "drain", "--wait"]}}},
                        }
                    ],
                },
            },
        },
    }


def test_leaves_alone_what_the_template_sets() -> None:
    url = {"name": "REDIS_URL", "valueFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}}
    hook = {"preStop": {"sleep": {"seconds": 5}}}
    template = {
        "metadata": {"labels": {"app.kubernetes.io/name": "shop", "team": "a"}, "annotations": {"a": "b"}},
        "spec": {
            "terminationGracePeriodSeconds": 30,
            "containers": [{"name": "app", "env": [url, {"name": "TZ", "value": "UTC"}], "lifecycle": hook}],
        },
    }

    made = pod_template(pool(template=template))

    container = made["spec"]["containers"][0]
    assert made["metadata"]["labels"]["app.kubernetes.io/name"] == "shop"
    assert made["metadata"]["labels"]["team"] == "a"
    assert made["metadata"]["annotations"] == {"a": "b"}
    assert made["spec"]["terminationGracePeriodSeconds"] == 30
    assert container["lifecycle"] == hook
    assert [variable for variable in container["env"] if variable["name"] == "REDIS_URL"] == [url]
    assert container["env"][-2:] == [url, {"name": "TZ", "value": "UTC"}]
    assert {"name": "CREWCALL_SHUTDOWN_TIMEOUT", "value": "25"} in container["env"]


def test_a_label_of_the_user_cannot_take_a_pod_out_of_the_pool() -> None:
    template = {
        "metadata": {"labels": {"crewcall.dev/pool": "other"}},
        "spec": {"containers": [{"name": "worker"}]},
    }

    assert pod_template(pool(template=template))["metadata"]["labels"]["crewcall.dev/pool"] == "notifications"


@pytest.mark.parametrize(
    ("containers", "chosen"),
    [(["app"], "app"), (["app", "proxy"], "app"), (["proxy", "worker"], "worker")],
)
def test_fills_in_the_container_that_works(containers: list[str], chosen: str) -> None:
    given = pool(*({"name": name} for name in containers))

    made = pod_template(given)

    assert [container["name"] for container in made["spec"]["containers"] if "env" in container] == [chosen]
    assert worker_container(given) == {"name": chosen}


def test_does_not_change_the_template_that_it_was_given() -> None:
    given = pool({"name": "worker", "env": [{"name": "A", "value": "b"}], "lifecycle": {}})
    before = copy.deepcopy(given.template)

    deployment(given)

    assert given.template == before


def test_takes_an_empty_field_of_a_template_for_an_absent_one() -> None:
    empty = {"metadata": None, "spec": {"containers": [{"name": "worker", "env": None, "lifecycle": None}]}}

    assert pod_template(pool(template=empty)) == pod_template(pool({"name": "worker"}))


def test_gives_a_process_the_environment_of_a_pod() -> None:
    given = pool(redis={"url": "redis://redis:6379/0", "namespace": "jobs"})
    in_pod = pod_template(given)["spec"]["containers"][0]["env"]

    assert environment(given) == {v["name"]: v["value"] for v in in_pod if v["name"] != "CREWCALL_POD"}


@pytest.mark.parametrize(("grace", "timeout"), [(600.0, 595.0), (25.0, 20.0), (10.0, 8.0), (1.0, 0.8), (0.0, 0.0)])
def test_a_worker_gives_up_before_it_is_killed(grace: float, timeout: float) -> None:
    assert shutdown_timeout(grace) == timeout


def test_a_grace_period_of_the_template_is_the_one_that_counts() -> None:
    own = {"spec": {"containers": [{"name": "worker"}], "terminationGracePeriodSeconds": 0}}

    assert grace_period(pool(drain={"gracePeriod": "1500ms"})) == 1.5
    assert grace_period(pool(template=own)) == 0.0
    assert pod_template(pool(drain={"gracePeriod": "1500ms"}))["spec"]["terminationGracePeriodSeconds"] == 2


def test_wants_no_change_of_a_deployment_that_it_made() -> None:
    assert template_change(pool(), live(pool())) is None


def test_the_order_of_the_fields_is_no_change() -> None:
    one, two = {"name": "worker", "image": "a", "tty": True}, {"tty": True, "image": "a", "name": "worker"}

    assert template_change(pool(one), live(pool(two))) is None


@pytest.mark.parametrize(
    "spec",
    [
        {"minReplicas": 2, "maxReplicas": 90},
        {"target": {"backlogPerReplica": 5}},
        {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}}},
        {"schedules": [{"name": "day", "start": "0 8 * * *", "end": "0 18 * * *", "minReplicas": 2}]},
        {"queues": [{"name": "sms", "weight": 3}]},
        {"fallback": {"policy": "Replicas", "replicas": 4}},
        {"cooldown": "5s"},
        {"mode": "Paused"},
    ],
    ids=lambda spec: next(iter(spec)),
)
def test_what_only_the_operator_looks_at_costs_no_rollout(spec: dict[str, Any]) -> None:
    assert template_change(pool(**spec), live(pool())) is None


@pytest.mark.parametrize(
    "spec",
    [
        {"redis": {"url": "redis://elsewhere:6379/0"}},
        {"redis": {"url": "redis://redis:6379/0", "namespace": "jobs"}},
        {"queues": [{"name": "sms"}, {"name": "email"}]},
        {"concurrency": 16},
        {"drain": {"gracePeriod": "5m"}},
    ],
    ids=["URL", "namespace", "queues", "concurrency", "grace period"],
)
def test_what_a_worker_is_told_as_it_starts_costs_a_rollout(spec: dict[str, Any]) -> None:
    assert template_change(pool(**spec), live(pool())) is not None


def test_a_dollar_sign_in_the_redis_url_reaches_the_worker_as_it_is() -> None:
    """Kubernetes reads $(NAME) in a value as a reference, and $$ as a plain $."""
    made = deployment(pool(redis={"url": "redis://:a$$b$(HOME)@redis:6379/0"}))

    environment = made["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "REDIS_URL", "value": "redis://:a$$$$b$$(HOME)@redis:6379/0"} in environment


def test_a_new_template_replaces_the_old_one_and_nothing_else() -> None:
    old = pool({"name": "worker", "image": "a", "args": ["--gone"]})
    new = pool({"name": "worker", "image": "b"})

    after = changed(live(old), new)

    assert after == live(new)
    assert after["spec"]["replicas"] == 7
    assert template_change(new, after) is None


def test_a_change_applies_whatever_became_of_the_deployment_since_it_was_read() -> None:
    old, new = pool({"name": "worker", "image": "a"}), pool({"name": "worker", "image": "b"})
    change = template_change(new, live(old))
    since = live(old)
    since["metadata"]["resourceVersion"] = "42"
    since["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2"

    assert change is not None
    after = jsonpatch.apply_patch(since, change)

    assert template_change(new, after) is None
    assert after["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


def test_a_change_is_refused_where_a_new_deployment_has_taken_the_name() -> None:
    old, new = pool({"name": "worker", "image": "a"}), pool({"name": "worker", "image": "b"})
    change = template_change(new, live(old))
    another = live(old)
    another["metadata"]["uid"] = "d-2"

    assert change is not None
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        jsonpatch.apply_patch(another, change)


def test_a_deployment_without_annotations_is_given_the_template() -> None:
    found = live(pool())
    del found["metadata"]["annotations"]

    assert changed(found, pool())["metadata"]["annotations"].keys() == {"crewcall.dev/template-hash"}


@pytest.mark.parametrize(
    ("owners", "is_ours"),
    [
        (None, False),
        ([], False),
        ([{"uid": "6f3c", "controller": True}], True),
        ([{"uid": "6f3c"}], False),
        ([{"uid": "another", "controller": True}], False),
        ([{"uid": "another"}, {"uid": "6f3c", "controller": True}], True),
    ],
)
def test_owns_what_it_made_and_nothing_else(owners: list[dict[str, Any]] | None, is_ours: bool) -> None:
    assert is_owned_by(pool(), {"metadata": {"ownerReferences": owners}}) is is_ours


def test_says_what_to_do_about_the_deployment_of_a_pool_that_is_gone() -> None:
    found = {"metadata": {"annotations": {"crewcall.dev/template-hash": "0"}}}

    assert not_owned(made_pool(), found) == (
        "Deployment shop/notifications was made for a pool of this name that is gone; delete it, and this pool makes "
        "its own: kubectl delete deployment notifications -n shop"
    )
    assert "rename the pool" in not_owned(made_pool(), {"metadata": {}})
