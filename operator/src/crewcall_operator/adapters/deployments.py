"""Deployments as a pool's replicas: made from its template and owned, or one that exists and is only scaled.

What the cluster has is kept from the watch (`saw`, `lost`), so that a tick asks the API server for nothing. Writes
are few: a Deployment when it is missing, its template when that changed, its scale when the number changed.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from crewcall_operator.adapters.kubernetes_api import JSON_PATCH, KubernetesApi
from crewcall_operator.api.deployment import deployment, is_owned_by, template_change
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.model import Fleet, Mode
from crewcall_operator.errors import ApiError, TargetUnavailable
from crewcall_operator.ports import Clock

#: Seconds before a request that failed is tried again.
RETRY = 2.0


class DeploymentScaler:
    """Implements `ports.Scaler` on the Deployments of a cluster."""

    def __init__(self, api: KubernetesApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._live: dict[PoolKey, Mapping[str, Any]] = {}
        self._described: dict[PoolKey, tuple[Pool, Mapping[str, Any]]] = {}
        self._failures: dict[PoolKey, tuple[float, TargetUnavailable]] = {}

    def saw(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The watch, a list or an answer shows this Deployment; an older sight than the last one counts for nothing.

        Gives what is now known of it.
        """
        key = _key(body)
        known = self._live.get(key)
        if known is not None and _version(body) < _version(known):
            return known
        self._live[key] = _kept(body)
        return self._live[key]

    def lost(self, body: Mapping[str, Any]) -> None:
        """The watch shows that this Deployment was deleted."""
        self._live.pop(_key(body), None)

    async def ensure(self, pool: Pool) -> Fleet:
        target = _target(pool)
        self._raise_fresh_failure(target)
        live = self._live.get(target) or self.saw(
            await self._attempt(target, "FailedGetScale", self._found_or_made(pool))
        )
        if pool.template is not None:
            live = await self._as_described(pool, live)
        return Fleet(live["spec"]["replicas"], live["status"]["readyReplicas"])

    async def scale(self, pool: Pool, replicas: int) -> None:
        target = _target(pool)
        request = self._api.patch(f"{_path(target)}/scale", {"spec": {"replicas": replicas}})
        before = self._live[target]
        scale = await self._attempt(target, "FailedUpdateScale", request)
        live = self._live.get(target)
        if live is None:
            return
        if _version(scale) < _version(before):
            del self._live[target]  # a write is newer than what was there: the server's count has been set back
        metadata = {**live["metadata"], "resourceVersion": scale["metadata"]["resourceVersion"]}
        self.saw({**live, "metadata": metadata, "spec": {"replicas": replicas}})

    async def release(self, pool: Pool) -> None:
        """Only forget: an owned Deployment is deleted by the cluster with its owner, a borrowed one stays."""
        self._described.pop(pool.key, None)

    async def _found_or_made(self, pool: Pool) -> dict[str, Any]:
        target = _target(pool)
        if pool.template is not None and pool.policy.mode is Mode.AUTO:
            try:
                return await self._api.create(_collection(target.namespace), deployment(pool))
            except ApiError as error:
                if error.status != HTTPStatus.CONFLICT:
                    raise
        return await self._api.get(_path(target))

    async def _as_described(self, pool: Pool, live: Mapping[str, Any]) -> Mapping[str, Any]:
        known_pool, known_live = self._described.get(pool.key, (None, None))
        if known_pool is pool and known_live is live:
            return live  # compared before: rendering a template is the dear part of a tick
        if not is_owned_by(pool, live):
            raise TargetUnavailable(
                "DeploymentNotOwned",
                f"Deployment {pool.key} exists and is not this pool's; rename the pool, "
                f"or scale that Deployment by naming it in spec.deploymentRef",
            )
        change = template_change(pool, live)
        if change is None or pool.policy.mode is not Mode.AUTO:
            self._described[pool.key] = (pool, live)
            return live
        request = self._api.patch(_path(pool.key), change, JSON_PATCH)
        return self.saw(await self._attempt(pool.key, "FailedUpdateTemplate", request))

    async def _attempt(
        self, target: PoolKey, reason: str, request: Coroutine[None, None, dict[str, Any]]
    ) -> dict[str, Any]:
        try:
            return await request
        except ApiError as error:
            failure = TargetUnavailable(reason, str(error))
            self._failures[target] = (self._clock(), failure)
            if error.status == HTTPStatus.NOT_FOUND:
                self._live.pop(target, None)
            raise failure from error

    def _raise_fresh_failure(self, target: PoolKey) -> None:
        failed_at, failure = self._failures.get(target, (-RETRY, None))
        if failure is None:
            return
        if self._clock() - failed_at < RETRY:
            raise failure
        del self._failures[target]


def _target(pool: Pool) -> PoolKey:
    return PoolKey(pool.key.namespace, pool.deployment_ref or pool.key.name)


def _collection(namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"


def _path(target: PoolKey) -> str:
    return f"{_collection(target.namespace)}/{target.name}"


def _key(body: Mapping[str, Any]) -> PoolKey:
    return PoolKey(body["metadata"]["namespace"], body["metadata"]["name"])


def _version(body: Mapping[str, Any]) -> int:
    """resourceVersions are numbers that grow (Kubernetes API concepts, "Resource versions", since 1.35)."""
    return int(body["metadata"]["resourceVersion"])


def _kept(body: Mapping[str, Any]) -> dict[str, Any]:
    """The little of a Deployment that is looked at again: thousands of them are kept."""
    metadata = body["metadata"]
    names = ("namespace", "name", "uid", "resourceVersion", "annotations", "ownerReferences")
    return {
        "metadata": {name: metadata[name] for name in names if name in metadata},
        "spec": {"replicas": body["spec"].get("replicas", 1)},
        "status": {"readyReplicas": body.get("status", {}).get("readyReplicas", 0)},
    }
