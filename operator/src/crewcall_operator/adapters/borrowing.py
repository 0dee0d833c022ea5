"""Deployments that pools only borrow: their replicas are noted before the first change, and given back in the end.

Best effort, without a finalizer: a Deployment that was not given back when its pool went, because nobody was there to
do it, is found by its note later. What is noted is in `api.borrowing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.adapters.log import log
from crewcall_operator.api.borrowing import Note, giving_back, noting, read_note
from crewcall_operator.api.names import API_VERSION, PLURAL
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.errors import ApiError

Live = Mapping[str, Any]


class Borrowing:
    """Notes and gives back, on one API server."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api

    async def note(self, pool: Pool, live: Live) -> dict[str, Any]:
        """The Deployment with the note that `pool` borrows it. Raises `ApiError`."""
        change = noting(pool, live)
        return dict(live) if change is None else await self._api.patch(_path(_key(live)), change)

    async def give_back(self, live: Live, uid: str) -> None:
        """Undo what the pool of this uid has done; a failure is logged, and left for later."""
        note = read_note(live)
        if note is None or note.uid != uid:
            return
        try:
            await self._api.patch(_path(_key(live)), giving_back(live, note))
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                log.warning("Deployment %s keeps its replicas for now, it cannot be given back: %s", _key(live), error)
        else:
            log.info("Deployment %s has its %d replicas again: %s is gone", _key(live), note.replicas, note.pool)

    async def give_back_where_the_pool_is_gone(self, live: Live) -> None:
        """The same for whatever pool it was borrowed by, once that is gone or names another Deployment."""
        note = read_note(live)
        if note is None:
            return
        try:
            is_borrowed = await self._is_borrowed(_key(live), note)
        except ApiError as error:
            log.warning("cannot tell whether WorkerPool %s/%s is gone: %s", _key(live).namespace, note.pool, error)
        else:
            if not is_borrowed:
                await self.give_back(live, note.uid)

    async def _is_borrowed(self, target: PoolKey, note: Note) -> bool:
        # A list of one: asking for it by name would take one more right. It may be another operator's pool.
        path = f"/apis/{API_VERSION}/namespaces/{target.namespace}/{PLURAL}"
        async for body in self._api.list(path, fieldSelector=f"metadata.name={note.pool}"):
            named = (body["spec"].get("deploymentRef") or {}).get("name")
            is_going = "deletionTimestamp" in body["metadata"]
            if body["metadata"]["uid"] == note.uid and named == target.name and not is_going:
                return True
        return False


def _key(live: Live) -> PoolKey:
    return PoolKey(live["metadata"]["namespace"], live["metadata"]["name"])


def _path(target: PoolKey) -> str:
    return f"/apis/apps/v1/namespaces/{target.namespace}/deployments/{target.name}"
