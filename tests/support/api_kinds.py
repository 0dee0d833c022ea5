"""Where the API serves each kind that the tests name: kubernetes.io/docs/reference/using-api/api-concepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind is served."""

    api_version: str
    plural: str
    is_namespaced: bool = True

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        root = "api" if "/" not in self.api_version else "apis"
        inside = f"namespaces/{namespace}/" if self.is_namespaced and namespace else ""
        parts = [f"/{root}/{self.api_version}/{inside}{self.plural}", name, subresource]
        return "/".join(filter(None, parts))


_RBAC = "rbac.authorization.k8s.io/v1"
KINDS: Mapping[str, Kind] = {
    "Namespace": Kind("v1", "namespaces", is_namespaced=False),
    "Pod": Kind("v1", "pods"),
    "Secret": Kind("v1", "secrets"),
    "ConfigMap": Kind("v1", "configmaps"),
    "Service": Kind("v1", "services"),
    "ServiceAccount": Kind("v1", "serviceaccounts"),
    "Event": Kind("v1", "events"),
    "Deployment": Kind("apps/v1", "deployments"),
    "ReplicaSet": Kind("apps/v1", "replicasets"),
    "HorizontalPodAutoscaler": Kind("autoscaling/v2", "horizontalpodautoscalers"),
    "Lease": Kind("coordination.k8s.io/v1", "leases"),
    "PodDisruptionBudget": Kind("policy/v1", "poddisruptionbudgets"),
    "Role": Kind(_RBAC, "roles"),
    "RoleBinding": Kind(_RBAC, "rolebindings"),
    "ClusterRole": Kind(_RBAC, "clusterroles", is_namespaced=False),
    "ClusterRoleBinding": Kind(_RBAC, "clusterrolebindings", is_namespaced=False),
    "CustomResourceDefinition": Kind("apiextensions.k8s.io/v1", "customresourcedefinitions", is_namespaced=False),
}
