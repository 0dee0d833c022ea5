"""The parts of the cluster that an operator serves: is it there, and what is in it right now.

Changes come by the watch (`handlers`); this lists, for the start and for what a watch may have missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.adapters.log import log
from crewcall_operator.api.names import API_VERSION, LABEL_POOL, PLURAL
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.errors import ApiError

#: Seconds between two tries to reach the API server at the start.
PAUSE = 1.0

Saw = Callable[[Mapping[str, Any]], object]


class Cluster:
    """The given namespaces of a cluster, or all of it where none is given."""

    def __init__(self, api: KubernetesApi, namespaces: Sequence[str], selector: str = "") -> None:
        """`selector` is of the pools' labels; empty for all."""
        self._api = api
        self._selected = {"labelSelector": selector} if selector else {}
        self._within = [f"namespaces/{namespace}/" for namespace in namespaces] or [""]

    async def first_look(self, saw_deployment: Saw, saw_pod: Saw) -> bool:
        """Show all Deployments and all pods of pools, once the API server answers and lets this operator list them.

        One by one: thousands of them at once would be the most memory that this process ever takes. True in the end.
        """
        told = ""
        while True:
            try:
                for within in self._within:
                    await self._api.get(f"/apis/{API_VERSION}/{within}{PLURAL}", limit="1", **self._selected)
                async for body in self.deployments():
                    saw_deployment(body)
                async for body in self.pods():
                    saw_pod(body)
            except ApiError as error:
                if str(error) != told:
                    hint = " Is the WorkerPool definition installed? Try kubectl apply -f crds/" * (error.status == 404)
                    log.warning("waiting for the cluster: %s%s", error, hint)
                    told = str(error)
                await asyncio.sleep(PAUSE)
            else:
                return True

    async def deployments(self) -> AsyncIterator[dict[str, Any]]:
        for within in self._within:
            async for body in self._api.list(f"/apis/apps/v1/{within}deployments"):
                yield body

    async def pods(self) -> AsyncIterator[dict[str, Any]]:
        """Those with a pool's label."""
        for within in self._within:
            async for body in self._api.list(f"/api/v1/{within}pods", labelSelector=LABEL_POOL):
                yield body

    async def workerpools(self) -> AsyncIterator[dict[str, Any]]:
        for within in self._within:
            async for body in self._api.list(f"/apis/{API_VERSION}/{within}{PLURAL}", **self._selected):
                yield body


async def living_pool(api: KubernetesApi, key: PoolKey, uid: str) -> dict[str, Any] | None:
    """The WorkerPool of this name and uid, whoever serves it; None where it is gone, or about to go."""
    # A list of one: asking for it by name would take one more right.
    path = f"/apis/{API_VERSION}/namespaces/{key.namespace}/{PLURAL}"
    async for body in api.list(path, fieldSelector=f"metadata.name={key.name}"):
        if body["metadata"]["uid"] == uid and "deletionTimestamp" not in body["metadata"]:
            return body
    return None
