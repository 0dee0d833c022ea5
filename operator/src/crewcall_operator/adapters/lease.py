"""The Lease that several operators share, on the API server: each write follows the version that it names.

Its wall-clock times are for people; nobody goes by them. Other fields that somebody gave it stay as they are. When to
read and write it is `election`'s part.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any

from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.core.leadership import Record, Terms


class Lease:
    """One by its name. Whatever is asked of it raises `ApiError`; durations are in seconds."""

    def __init__(self, api: KubernetesApi, namespace: str, name: str, wall_clock: Callable[[], datetime]) -> None:
        """`api` is to be this one's alone: a renewal never waits behind other requests."""
        self._api = api
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace, self._name = namespace, name
        self._wall_clock = wall_clock
        self._transitions = 0

    def __str__(self) -> str:
        return f"{self._namespace}/{self._name}"

    async def read(self) -> Record:
        return self._record(await self._api.get(f"{self._collection}/{self._name}"))

    async def create(self, holder: str, duration: int) -> Record:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._spec(holder, duration),
        }
        return self._record(await self._api.create(self._collection, body))

    async def take(self, holder: str, duration: int, after: str) -> Record:
        """Have another holder, where nobody has written since the version `after`."""
        return await self._patch(self._spec(holder, duration), after)

    async def renew(self, duration: int, after: str) -> Record:
        """Have its holder go on, where nobody has written since."""
        return await self._patch({"renewTime": self._stamp(), "leaseDurationSeconds": duration}, after)

    async def give_back(self, after: str) -> Record:
        """Have no holder, where nobody has written since."""
        return await self._patch(self._spec("", 1), after)

    async def watch(self, seconds: int) -> AsyncIterator[tuple[str, Record]]:
        """What happens to it, as Kubernetes names it, and what it says then; for so long, or until the watch breaks."""
        selector = {"fieldSelector": f"metadata.name={self._name}", "timeoutSeconds": str(seconds)}
        async for event in self._api.watch(self._collection, **selector):
            if event["type"] == "ERROR":
                break
            yield event["type"], self._record(event["object"])

    async def _patch(self, spec: Mapping[str, Any], after: str) -> Record:
        # A version in a patch is a condition (API concepts, "Patch").
        body = {"metadata": {"resourceVersion": after}, "spec": spec}
        return self._record(await self._api.patch(f"{self._collection}/{self._name}", body))

    def _spec(self, holder: str, duration: int) -> dict[str, Any]:
        return {
            "holderIdentity": holder,
            "leaseDurationSeconds": duration,
            "acquireTime": self._stamp(),
            "renewTime": self._stamp(),
            "leaseTransitions": self._transitions + bool(holder),
        }

    def _stamp(self) -> str:
        return self._wall_clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _record(self, body: Mapping[str, Any]) -> Record:
        spec = body.get("spec") or {}
        self._transitions = int(spec.get("leaseTransitions") or 0)
        return Record(
            holder=spec.get("holderIdentity") or "",
            duration=float(spec.get("leaseDurationSeconds") or Terms().lease),
            version=int(body["metadata"]["resourceVersion"]),
        )
