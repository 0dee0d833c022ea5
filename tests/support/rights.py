"""The operator's rights as the chart grants them, and accounts that have these and no others.

`tests/chart/test_rights.py` holds the rules against what the chart renders;
`tests/integration/test_operator_rights.py` against what the operator asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from tests.support.api_cluster import ApiCluster

NAMESPACE, RELEASE = "ops", "crewcall"
_GROUP = "rbac.authorization.k8s.io"

RULES: list[dict[str, Any]] = [
    {"apiGroups": ["crewcall.dev"], "resources": ["workerpools"], "verbs": ["list", "watch"]},
    {"apiGroups": ["crewcall.dev"], "resources": ["workerpools/status"], "verbs": ["patch"]},
    {"apiGroups": ["crewcall.dev"], "resources": ["workerpools/finalizers"], "verbs": ["update"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch", "create", "patch"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch", "patch"]},
    {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
]

#: In the release's own namespace: on one Lease, by its name.
LEASE_RULES: list[dict[str, Any]] = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": [RELEASE],
        "verbs": ["get", "watch", "patch"],
    },
]


class Right(NamedTuple):
    """One verb on one resource: `patch` on `deployments.apps/scale`."""

    verb: str
    resource: str


def rights(rules: Sequence[Mapping[str, Any]]) -> Iterator[Right]:
    """Each right by itself."""
    for rule in rules:
        (group,) = rule["apiGroups"]
        for resource in rule["resources"]:
            plural, slash, subresource = resource.partition("/")
            for verb in rule["verbs"]:
                yield Right(verb, f"{plural}.{group}".rstrip(".") + slash + subresource)


def without(rules: Sequence[Mapping[str, Any]], right: Right) -> list[dict[str, Any]]:
    """The rules less one right."""
    left = []
    for rule in rules:
        for resource in rule["resources"]:
            one: dict[str, Any] = {**deepcopy(dict(rule)), "resources": [resource]}
            one["verbs"] = [verb for verb in rule["verbs"] if right not in rights([{**one, "verbs": [verb]}])]
            left += [one] if one["verbs"] else []
    return left


async def granted(
    cluster: ApiCluster,
    rules: Sequence[Mapping[str, Any]] = RULES,
    lease_rules: Sequence[Mapping[str, Any]] = LEASE_RULES,
    namespace: str = NAMESPACE,
) -> str:
    """The token of a service account in a namespace that is there, with these rights everywhere and on leases there."""
    home = {"name": RELEASE, "namespace": namespace}
    await cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": home})
    subject = {"kind": "ServiceAccount", **home}
    for kind, metadata, granted_here in (
        ("ClusterRole", {"name": f"{RELEASE}-of-{namespace}"}, rules),
        ("Role", {"name": f"{RELEASE}-lease", "namespace": namespace}, lease_rules),
    ):
        named = {"apiVersion": f"{_GROUP}/v1", "metadata": metadata}
        ref = {"apiGroup": _GROUP, "kind": kind, "name": metadata["name"]}
        await cluster.create({**named, "kind": kind, "rules": list(granted_here)})
        await cluster.create({**named, "kind": f"{kind}Binding", "roleRef": ref, "subjects": [subject]})
    return await cluster.issue_token(namespace, RELEASE)
