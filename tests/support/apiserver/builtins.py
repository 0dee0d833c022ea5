"""The kinds the server is born with: a table, and for each as much schema as the tests need of it."""

from __future__ import annotations

from typing import Any

from tests.support.apiserver.kinds import Resource, ScalePaths, Schema
from tests.support.apiserver.podspec import ATOMIC, CONDITIONS, METADATA, POD, TEMPLATE, by_key, default, struct

_PLAIN = struct(metadata=METADATA)

_DEPLOYMENT = struct(
    metadata=METADATA,
    spec=struct(
        replicas={**default(1), "type": "integer"},
        revisionHistoryLimit=default(10),
        progressDeadlineSeconds=default(600),
        selector=ATOMIC,
        strategy=default({"type": "RollingUpdate"}),
        template=TEMPLATE,
    ),
    status=struct(conditions=CONDITIONS),
)

_REPLICA_SET = struct(
    metadata=METADATA,
    spec=struct(replicas={**default(1), "type": "integer"}, selector=ATOMIC, template=TEMPLATE),
    status=struct(conditions=CONDITIONS),
)

_SERVICE = struct(
    metadata=METADATA,
    spec=struct(
        type=default("ClusterIP"),
        sessionAffinity=default("None"),
        ports=by_key(struct(protocol=default("TCP")), "port", "protocol"),
        selector=ATOMIC,
    ),
    status=struct(conditions=CONDITIONS),
)

_CRD = struct(
    metadata=METADATA,
    spec=struct(conversion=default({"strategy": "None"}), versions=by_key(struct(schema=ATOMIC), "name")),
    status=struct(conditions=CONDITIONS),
)

_WITH_CONDITIONS = struct(metadata=METADATA, status=struct(conditions=CONDITIONS))
_RBAC = "rbac.authorization.k8s.io"


def _kind(group: str, plural: str, kind: str, schema: Schema = _PLAIN, *short: str, **more: Any) -> Resource:
    return Resource(group, "v1", plural, kind, schema=schema, short_names=short, singular=kind.lower(), **more)


def _workload(plural: str, kind: str, schema: Schema, *short: str) -> Resource:
    scale = ScalePaths(selector=("spec", "selector"))
    return _kind(
        "apps", plural, kind, schema, *short, has_status=True, scale=scale, counts_generations=True, categories=("all",)
    )


BUILTINS: tuple[Resource, ...] = (
    _kind("", "namespaces", "Namespace", _WITH_CONDITIONS, "ns", namespaced=False, has_status=True),
    _kind("", "pods", "Pod", POD, "po", has_status=True, counts_generations=True, categories=("all",)),
    _kind("", "nodes", "Node", _WITH_CONDITIONS, "no", namespaced=False, has_status=True),
    _kind("", "secrets", "Secret"),
    _kind("", "configmaps", "ConfigMap", _PLAIN, "cm"),
    _kind("", "services", "Service", _SERVICE, "svc", has_status=True, categories=("all",)),
    _kind("", "serviceaccounts", "ServiceAccount", _PLAIN, "sa"),
    _kind("", "events", "Event", _PLAIN, "ev", stored_as="events"),
    _kind("events.k8s.io", "events", "Event", _PLAIN, "ev", stored_as="events"),
    _workload("deployments", "Deployment", _DEPLOYMENT, "deploy"),
    _workload("replicasets", "ReplicaSet", _REPLICA_SET, "rs"),
    Resource(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        schema=_WITH_CONDITIONS,
        short_names=("hpa",),
        singular="horizontalpodautoscaler",
        has_status=True,
        categories=("all",),
    ),
    _kind("coordination.k8s.io", "leases", "Lease"),
    _kind("policy", "poddisruptionbudgets", "PodDisruptionBudget", _WITH_CONDITIONS, "pdb", has_status=True),
    _kind(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        _CRD,
        "crd",
        "crds",
        namespaced=False,
        has_status=True,
        counts_generations=True,
        categories=("api-extensions",),
    ),
    _kind(_RBAC, "roles", "Role"),
    _kind(_RBAC, "rolebindings", "RoleBinding"),
    _kind(_RBAC, "clusterroles", "ClusterRole", namespaced=False),
    _kind(_RBAC, "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    _kind("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False),
)
