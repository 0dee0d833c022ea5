"""The operator's rights as the chart grants them, and accounts that have these and no others.

`tests/chart/test_rights.py` holds the rules against what the chart renders;
`tests/integration/test_operator_rights.py` against what the operator asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from tests.support.api_cluster import ApiCluster

#: The release's fullname too, hence the name of its Lease.
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


def lease_rules(release: str = RELEASE) -> list[dict[str, Any]]:
    """In the release's own namespace: on one Lease, by its name."""
    leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    return [{**leases, "verbs": ["create"]}, {**leases, "resourceNames": [release], "verbs": ["get", "watch", "patch"]}]


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
    namespace: str = NAMESPACE,
    *,
    release: str = RELEASE,
    served: Sequence[str] = (),
    less: Right | None = None,
) -> str:
    """The token of a release's service account, in a namespace that is there, with the chart's rights.

    Those are good in the `served` namespaces, or everywhere where none is named; `less` is one that it does not get.
    """
    home = {"name": release, "namespace": namespace}
    await cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": home})
    # Roles of the cluster outlive the test's namespace, and others have releases of the same name.
    roles = [("Role", {"name": release, "namespace": it}, RULES) for it in served] or [
        ("ClusterRole", {"name": f"{release}-of-{namespace}"}, RULES)
    ]
    roles.append(("Role", {"name": f"{release}-lease", "namespace": namespace}, lease_rules(release)))
    for kind, metadata, rules in roles:
        named = {"apiVersion": f"{_GROUP}/v1", "metadata": metadata}
        ref = {"apiGroup": _GROUP, "kind": kind, "name": metadata["name"]}
        await cluster.create({**named, "kind": kind, "rules": without(rules, less) if less else rules})
        subjects = [{"kind": "ServiceAccount", **home}]
        await cluster.create({**named, "kind": f"{kind}Binding", "roleRef": ref, "subjects": subjects})
    return await cluster.issue_token(namespace, release)
