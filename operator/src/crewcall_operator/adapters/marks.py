"""Marks on pods: which ones are to go first when their ReplicaSet has too many."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from http import HTTPStatus

from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.adapters.pods import Pods
from crewcall_operator.api.names import ANNOTATION_DELETION_COST, FIRST_TO_GO
from crewcall_operator.api.pool import Pool
from crewcall_operator.errors import ApiError, TargetUnavailable


class Marks:
    """Puts them on pods of one API server."""

    def __init__(self, api: KubernetesApi, pods: Pods) -> None:
        self._api = api
        self._pods = pods

    async def put(self, pool: Pool, leaving: Collection[str]) -> None:
        """Have exactly these pods go first; a mark that stayed from a reduction that failed goes away.

        Raises `TargetUnavailable`.
        """
        if not leaving:
            return
        marked = {pod.name for pod in self._pods.of(pool.key) if pod.is_marked}
        costs = dict.fromkeys(marked.difference(leaving)) | dict.fromkeys(set(leaving) - marked, FIRST_TO_GO)
        await asyncio.gather(*(self._give_cost(pool, name, cost) for name, cost in costs.items()))

    async def _give_cost(self, pool: Pool, name: str, cost: str | None) -> None:
        path = f"/api/v1/namespaces/{pool.key.namespace}/pods/{name}"
        try:
            self._pods.saw(await self._api.patch(path, {"metadata": {"annotations": {ANNOTATION_DELETION_COST: cost}}}))
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                self._pods.missing(pool.key, name)  # another one is being made in its place: plan anew
            raise TargetUnavailable("FailedMarkPod", str(error)) from error
