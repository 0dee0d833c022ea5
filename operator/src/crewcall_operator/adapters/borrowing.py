"""Deployments that pools only borrow: their replicas are noted with the first change, and given back in the end.

Best effort, without a finalizer: a Deployment that was not given back when its pool went, because nobody was there to
do it, is found by its note later. What is noted is in `api.borrowing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from crewcall_operator.adapters.claims import AMBIGUOUS
from crewcall_operator.adapters.cluster import living_pool
from crewcall_operator.adapters.deployment_requests import path_of
from crewcall_operator.adapters.deployments import deployment_key
from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.adapters.log import log
from crewcall_operator.adapters.rivals import Rivals
from crewcall_operator.api.borrowing import Note, giving_back, has_note_of_another, leaving, lending, read_note
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.errors import ApiError, TargetUnavailable
from crewcall_operator.ports import Clock

Live = Mapping[str, Any]

#: Seconds for which the answer counts that a pool which another operator serves borrows a Deployment.
KEPT = 5.0

#: Times that a Deployment is given back while something about it changes.
TRIES = 3


class Borrowing:
    """Notes and gives back, on one API server."""

    def __init__(self, api: KubernetesApi, clock: Clock, rivals: Rivals) -> None:
        self._api = api
        self._clock = clock
        self._rivals = rivals
        self._others: dict[PoolKey, tuple[Note, float]] = {}

    async def taken_over(self, pool: Pool, live: Live) -> dict[str, Any]:
        """The Deployment with the note of `pool` in place of another one's. Raises `ApiError`, and `TargetUnavailable`
        where that one borrows it still: it may be served by another operator, or not at all for now."""
        note, target = read_note(live), deployment_key(live)
        if note is None:
            return dict(live)
        known, until = self._others.get(target, (None, 0.0))
        if known != note or self._clock() >= until:
            if not await self._is_borrowed(target, note):
                self._others.pop(target, None)
                return await self._api.patch(path_of(target), lending(pool, live))
            self._others[target] = note, self._clock() + KEPT
        other = PoolKey(target.namespace, note.pool)
        raise TargetUnavailable("AmbiguousTarget", AMBIGUOUS.format(holder=other, target=target))

    async def give_back_where_the_pool_is_gone(self, live: Live) -> None:
        """Undo what a pool has done that is gone, or names another Deployment. A failure is logged, and left for later.

        Where an autoscaler scales the Deployment by now, or somebody has given it other replicas, it keeps them.
        """
        target, note = deployment_key(live), read_note(live)
        try:
            if has_note_of_another(live):
                await self._api.patch(path_of(target), leaving(live))
            elif note is not None and not await self._is_borrowed(target, note):
                await self._give_back(target, note)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                log.warning("Deployment %s keeps its replicas for now, it cannot be given back: %s", target, error)

    async def _give_back(self, target: PoolKey, note: Note, tries: int = TRIES) -> None:
        is_anothers = await self._rivals.who_scales(target) is not None
        live = await self._api.get(path_of(target))  # as somebody may have changed it by now
        if read_note(live) != note:
            return
        try:
            found = await self._api.patch(path_of(target), leaving(live) if is_anothers else giving_back(live))
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT or tries == 1:
                raise
            await self._give_back(target, note, tries - 1)
        else:
            replicas = found["spec"]["replicas"]
            log.info("Deployment %s is left with %d replicas: %s scales it no more", target, replicas, note.pool)

    async def _is_borrowed(self, target: PoolKey, note: Note) -> bool:
        pool = await living_pool(self._api, PoolKey(target.namespace, note.pool), note.uid)
        return pool is not None and (pool["spec"].get("deploymentRef") or {}).get("name") == target.name
