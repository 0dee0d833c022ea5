"""Requests for Deployments to the API server: made, changed, and scaled from no other number than is known.

Whether any of it is to be done belongs to the scaler; what patches hold, to `api.deployment` and `api.borrowing`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from crewcall_operator.adapters.cluster import living_pool
from crewcall_operator.adapters.deployments import Deployments
from crewcall_operator.adapters.kubernetes_api import JSON_PATCH, KubernetesApi
from crewcall_operator.api.borrowing import lending, noted
from crewcall_operator.api.deployment import deployment
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.errors import ApiError, TargetUnavailable

#: Times that a change is sent while only something else about the Deployment changes.
TRIES = 3

_MISSING = "there is no Deployment {target}; make it, or name another one in spec.deploymentRef.name"
_CHANGED = "Deployment {target} was given {found} replicas meanwhile; deciding anew"


class DeploymentRequests:
    """Each gives what the API server answers with, and raises `ApiError`."""

    def __init__(self, api: KubernetesApi, deployments: Deployments) -> None:
        self._api = api
        self._deployments = deployments

    async def get(self, target: PoolKey) -> dict[str, Any]:
        """The one that a pool names."""
        try:
            return await self._api.get(path_of(target))
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            raise ApiError(error.status, _MISSING.format(target=target)) from error

    async def make(self, pool: Pool) -> dict[str, Any]:
        """The pool's own, or the one that has its name. Where nobody has told that the pool was deleted, its Deployment
        went with it, and one made anew would too."""
        if await living_pool(self._api, pool.key, pool.uid) is None:
            raise ApiError(HTTPStatus.NOT_FOUND, f"WorkerPool {pool.key} is gone; nothing is made for it")
        try:
            return await self._api.create(_collection(pool.key.namespace), deployment(pool))
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            return await self._api.get(path_of(pool.key))

    async def change(self, target: PoolKey, change: list[dict[str, Any]]) -> dict[str, Any]:
        """Change it by a JSON patch."""
        return await self._api.patch(path_of(target), change, JSON_PATCH)

    async def scale(self, pool: Pool, target: PoolKey, replicas: int, tries: int = TRIES) -> dict[str, Any]:
        """Made from no other number of replicas than the one that was decided on; else raises `TargetUnavailable`.

        A version in a patch is a condition (API concepts, "Patch"). Without it, an operator whose watch hangs, or that
        has just taken over, would undo what it has not heard of.
        """
        known = self._deployments.get(target)
        try:
            if pool.template is None and known is not None:
                return await self._api.patch(path_of(target), lending(pool, known, replicas))
            seen = {} if known is None else {"metadata": {"resourceVersion": known["metadata"]["resourceVersion"]}}
            return await self._api.patch(f"{path_of(target)}/scale", {**seen, "spec": {"replicas": replicas}})
        except ApiError as error:
            if known is None or error.status != HTTPStatus.CONFLICT or tries == 1:
                raise
        self._deployments.missing(target)  # whatever its version: the server's count may have been set back
        live = self._deployments.saw(await self.get(target))
        found = live["spec"]["replicas"]
        if found != known["spec"]["replicas"] or noted(live) != noted(known):
            raise TargetUnavailable("FailedUpdateScale", _CHANGED.format(target=target, found=found))
        return await self.scale(pool, target, replicas, tries - 1)


def path_of(target: PoolKey) -> str:
    """Where the Deployment of this namespace and name is."""
    return f"{_collection(target.namespace)}/{target.name}"


def _collection(namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"
