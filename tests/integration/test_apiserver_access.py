"""Who may do what: tokens of service accounts, and RBAC, on our API server and on a real one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.api_cluster import ApiCluster, Object, Refused
from tests.support.crews import deployment


def role(kind: str, name: str, namespace: str, *rules: Object) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if kind == "Role" else {})}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": list(rules)}


def rule(group: str, resources: str, verbs: str, **more: Any) -> Object:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split(), **more}


async def bind(cluster: ApiCluster, namespace: str, *roles: Object) -> ApiCluster:
    """A service account that has these roles and no others, as the user of a cluster."""
    account = {"kind": "ServiceAccount", "name": "worker", "namespace": namespace}
    await cluster.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "worker", "namespace": namespace}}
    )
    for body in roles:
        await cluster.create(body)
        binding = {
            **{key: value for key, value in body.items() if key != "rules"},
            "kind": f"{body['kind']}Binding",
            "subjects": [account],
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": body["kind"],
                "name": body["metadata"]["name"],
            },
        }
        await cluster.create(binding)
    return replace(cluster, token=await cluster.issue_token(namespace, "worker"), _session=None)


async def test_lets_a_service_account_do_what_its_role_allows_and_no_more(cluster: ApiCluster, namespace: str) -> None:
    await cluster.create(deployment(namespace, replicas=0))
    granted = role(
        "Role", "scaler", namespace, rule("apps", "deployments", "get"), rule("apps", "deployments/scale", "patch")
    )
    async with await bind(cluster, namespace, granted) as worker:

        async def is_known() -> bool:
            return (await worker.ask("GET", worker.path("Deployment", namespace, "web"))).status == 200

        await cluster.until(is_known, "the role known to the authorizer")
        await worker.patch("Deployment", namespace, "web", {"spec": {"replicas": 0}}, subresource="scale")
        refusals = []
        for attempt in (
            worker.patch("Deployment", namespace, "web", {"spec": {"replicas": 0}}),
            worker.list("Deployment", namespace),
            worker.list("Deployment"),
            worker.get("Deployment", "default", "web"),
            worker.list("Pod", namespace),
        ):
            with pytest.raises(Refused) as refused:
                await attempt
            refusals.append((refused.value.status, refused.value.body["message"]))

    user = f'User "system:serviceaccount:{namespace}:worker" cannot'
    inside = f'in the namespace "{namespace}"'
    of_apps = 'resource "deployments" in API group "apps"'
    assert refusals == [
        (403, f'deployments.apps "web" is forbidden: {user} patch {of_apps} {inside}'),
        (403, f"deployments.apps is forbidden: {user} list {of_apps} {inside}"),
        (403, f"deployments.apps is forbidden: {user} list {of_apps} at the cluster scope"),
        (403, f'deployments.apps "web" is forbidden: {user} get {of_apps} in the namespace "default"'),
        (403, f'pods is forbidden: {user} list resource "pods" in API group "" {inside}'),
    ]


async def test_bounds_a_rule_to_the_names_in_it(cluster: ApiCluster, namespace: str) -> None:
    for name in ("mine", "other"):
        await cluster.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}
        )
    granted = role("Role", "reader", namespace, rule("", "configmaps", "get", resourceNames=["mine"]))
    async with await bind(cluster, namespace, granted) as worker:

        async def is_known() -> bool:
            return (await worker.ask("GET", worker.path("ConfigMap", namespace, "mine"))).status == 200

        await cluster.until(is_known, "the role known to the authorizer")
        other = await worker.ask("GET", worker.path("ConfigMap", namespace, "other"))

    assert other.status == 403


async def test_lets_a_cluster_role_reach_every_namespace(cluster: ApiCluster, namespace: str) -> None:
    granted = role("ClusterRole", f"reader-{namespace}", "", rule("", "pods", "list watch"))
    async with await bind(cluster, namespace, granted) as worker:

        async def is_known() -> bool:
            return (await worker.ask("GET", worker.path("Pod"))).status == 200

        await cluster.until(is_known, "the role known to the authorizer")
        elsewhere = await worker.ask("GET", worker.path("Pod", "kube-system"))
        secrets = await worker.ask("GET", worker.path("Secret"))
    for kind in ("ClusterRoleBinding", "ClusterRole"):
        await cluster.delete(kind, "", f"reader-{namespace}")

    assert (elsewhere.status, secrets.status) == (200, 403)


async def test_answers_whether_one_may(cluster: ApiCluster, namespace: str) -> None:
    granted = role("Role", "reader", namespace, rule("", "pods", "get"))
    async with await bind(cluster, namespace, granted) as worker:

        async def may(verb: str) -> bool:
            asked = {"verb": verb, "resource": "pods", "namespace": namespace}
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
            path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            review = await worker.ask("POST", path, {**body, "spec": {"resourceAttributes": asked}})
            return bool(review.body["status"]["allowed"])

        await cluster.until(lambda: may("get"), "the role known to the authorizer")
        may_delete = await may("delete")

    assert not may_delete


async def test_knows_nobody_by_a_wrong_token(cluster: ApiCluster) -> None:
    async with replace(cluster, token="wrong", _session=None) as stranger:
        reply = await stranger.ask("GET", "/api/v1/namespaces")

    assert (reply.status, reply.body["reason"], reply.body["message"]) == (401, "Unauthorized", "Unauthorized")


async def test_knows_no_token_any_more_that_was_withdrawn(memory: ApiCluster) -> None:
    assert memory.server is not None
    before = await memory.ask("GET", "/api/v1/namespaces")
    user = memory.server.access.tokens.pop(memory.token)
    after = await memory.ask("GET", "/api/v1/namespaces")
    memory.server.access.tokens[memory.token] = user
    again = await memory.ask("GET", "/api/v1/namespaces")

    assert [before.status, after.status, again.status] == [200, 401, 200]
