"""Who else scales a pool's Deployment: HorizontalPodAutoscalers, and KEDA's ScaledObjects, each of which makes one.

Two that scale one Deployment undo each other's work for ever. All autoscalers are listed each minute, before a
Deployment is scaled for the first time, and when somebody else has scaled it; a watch would bring an event whenever one
of them has looked, every 15 s. Where the operator may not list them nobody is known, which is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.adapters.log import log
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.errors import ApiError, TargetUnavailable
from crewcall_operator.ports import Clock

#: Seconds that a list counts for; for a Deployment that was not asked about before, and for one that has a rival.
KEPT, KEPT_FOR_NEW = 60.0, 5.0

#: The same for one that somebody else has just scaled, or that is about to be given back.
KEPT_IN_DOUBT = 1.0


class Rivals:
    """Autoscalers in the given namespaces of a cluster, or all of it where none is given."""

    def __init__(self, api: KubernetesApi, clock: Clock, namespaces: Sequence[str]) -> None:
        self._api = api
        self._clock = clock
        self._within = [f"namespaces/{namespace}/" for namespace in namespaces] or [""]
        self._found: Mapping[PoolKey, str] = {}
        self._listed_at = float("-inf")
        self._listing: asyncio.Task[None] | None = None
        self._unlisted: ApiError | None = None
        self._asked: set[PoolKey] = set()

    async def refuse(self, target: PoolKey) -> None:
        """Raises `TargetUnavailable` where somebody else scales that Deployment, or nobody could tell yet."""
        is_new = target not in self._asked
        age = self._clock() - self._listed_at
        listing = self._listing
        if age >= (KEPT_FOR_NEW if is_new or target in self._found else KEPT):
            listing = self._begin_to_list()
        if is_new and listing is not None:
            await asyncio.shield(listing)
        if self._unlisted is not None and is_new:
            raise TargetUnavailable("FailedGetAutoscalers", f"cannot tell who else scales it: {self._unlisted}")
        self._asked.add(target)
        if target in self._found:
            raise TargetUnavailable("ScaledByAnother", _WORDS.format(rival=self._found[target], target=target))

    async def who_scales(self, target: PoolKey) -> str | None:
        """Who else scales that Deployment right now. Raises `ApiError` where nobody can tell."""
        if self._clock() - self._listed_at >= KEPT_IN_DOUBT:
            await asyncio.shield(self._begin_to_list())
        if self._unlisted is not None:
            raise self._unlisted
        return self._found.get(target)

    def doubt(self, target: PoolKey) -> None:
        """Somebody else has scaled it, an autoscaler perhaps that is not listed yet."""
        self.forget(target)
        if self._clock() - self._listed_at >= KEPT_IN_DOUBT:
            self._listed_at = float("-inf")

    def forget(self, target: PoolKey) -> None:
        """It is scaled no more."""
        self._asked.discard(target)

    def _begin_to_list(self) -> asyncio.Task[None]:
        if self._listing is None:
            self._listing = asyncio.create_task(self._list())
            self._listing.add_done_callback(self._is_listed)
        return self._listing

    def _is_listed(self, _: asyncio.Task[None]) -> None:
        self._listing = None

    async def _list(self) -> None:
        found: dict[PoolKey, str] = {}
        try:
            for within in self._within:
                async for body in self._api.list(f"/apis/autoscaling/v2/{within}horizontalpodautoscalers"):
                    scaled = body["spec"]["scaleTargetRef"]
                    if scaled["kind"] == "Deployment":
                        found[PoolKey(body["metadata"]["namespace"], scaled["name"])] = _name(body)
        except ApiError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                self._unlisted = error
                return
            log.warning("other autoscalers of the same Deployments are not noticed: %s", error)
        self._found, self._listed_at, self._unlisted = found, self._clock(), None


_WORDS = (
    "{rival} scales Deployment {target} too, and two would undo each other's work. Delete it, or try this pool beside "
    "it with mode: Recommend"
)


def _name(body: Mapping[str, Any]) -> str:
    """Of the ScaledObject where it made the autoscaler: deleting that one's would help for a moment only."""
    owners = body["metadata"].get("ownerReferences") or ()
    scaled_object = next((owner["name"] for owner in owners if owner["kind"] == "ScaledObject"), None)
    return f"ScaledObject {scaled_object}" if scaled_object else f"HorizontalPodAutoscaler {body['metadata']['name']}"
