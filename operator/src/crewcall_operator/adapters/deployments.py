"""The Deployments of a cluster as the watch shows them, so that a tick asks the API server for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from crewcall_operator.api.pool import PoolKey


class Deployments:
    """Those that were seen, by namespace and name; an older sight than the last one counts for nothing."""

    def __init__(self) -> None:
        self._seen: dict[PoolKey, Mapping[str, Any]] = {}

    def saw(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The watch, a list or an answer shows this Deployment. Gives what is now known of it."""
        key = deployment_key(body)
        known = self._seen.get(key)
        if known is not None and version(body) < version(known):
            return known
        self._seen[key] = _kept(body)
        return self._seen[key]

    def lost(self, body: Mapping[str, Any]) -> None:
        """The watch shows that this Deployment was deleted."""
        self.missing(deployment_key(body))

    def missing(self, key: PoolKey) -> None:
        """The API server knows no such Deployment, or what was seen of it holds no more."""
        self._seen.pop(key, None)

    def get(self, key: PoolKey) -> Mapping[str, Any] | None:
        """What was last seen of it: its metadata, spec.replicas and status.readyReplicas."""
        return self._seen.get(key)

    def lost_all(self, uids: Set[str]) -> None:
        """A list shows that these are gone."""
        self._seen = {key: seen for key, seen in self._seen.items() if seen["metadata"]["uid"] not in uids}

    def items(self) -> list[tuple[PoolKey, Mapping[str, Any]]]:
        """All that are taken to be there."""
        return list(self._seen.items())


def version(body: Mapping[str, Any]) -> int:
    """resourceVersions are numbers that grow (Kubernetes API concepts, "Resource versions", since 1.35)."""
    return int(body["metadata"]["resourceVersion"])


def deployment_key(body: Mapping[str, Any]) -> PoolKey:
    """Its namespace and name."""
    return PoolKey(body["metadata"]["namespace"], body["metadata"]["name"])


def _kept(body: Mapping[str, Any]) -> dict[str, Any]:
    """The little of a Deployment that is looked at again: thousands of them are kept."""
    metadata = body["metadata"]
    names = ("namespace", "name", "uid", "resourceVersion", "annotations", "ownerReferences")
    return {
        "metadata": {name: metadata[name] for name in names if name in metadata},
        "spec": {"replicas": body["spec"].get("replicas", 1)},
        "status": {"readyReplicas": body.get("status", {}).get("readyReplicas", 0)},
    }
