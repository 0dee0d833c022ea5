"""WorkerPools as they are written become pools that are scaled, or a status that says what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crewcall_operator.adapters.log import log
from crewcall_operator.adapters.prometheus import PoolMetrics
from crewcall_operator.adapters.status import StatusWriter
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.api.spec import read_pool
from crewcall_operator.engine import Engine
from crewcall_operator.errors import InvalidSpec

Identity = tuple[str, int]
"""A pool's uid and generation."""


@dataclass(slots=True)
class Intake:
    """What the API server tells of WorkerPools, in whatever order and however often."""

    engine: Engine
    status: StatusWriter
    metrics: PoolMetrics
    _rejected: dict[PoolKey, tuple[Identity, InvalidSpec]] = field(default_factory=dict)
    _holders: dict[PoolKey, tuple[str, int]] = field(default_factory=dict)
    """Who has a name: its uid, and the last version of it that was seen."""

    @property
    def known(self) -> Mapping[PoolKey, str]:
        """The uids of all that are taken to be there, the invalid ones too."""
        valid = {pool.key: pool.uid for pool in self.engine.pools}
        return valid | {key: uid for key, ((uid, _), _) in self._rejected.items()}

    async def saw(self, body: Mapping[str, Any]) -> None:
        """This WorkerPool is there; one that waits for its finalizers to be deleted is as good as gone."""
        if "deletionTimestamp" in body["metadata"]:
            await self.lost(body)
            return
        key, identity = _key(body), (body["metadata"]["uid"], body["metadata"]["generation"])
        uid, version = self._holders.get(key, (identity[0], 0))
        if (seen := int(body["metadata"]["resourceVersion"])) < version:
            return  # an older sight than the last one
        if uid != identity[0]:
            await self.gone(key, uid)  # nobody has told, but names are unique
        self._holders[key] = (identity[0], seen)
        self.status.follow(key, body)
        known, invalid = self._rejected.get(key, (None, None))
        if invalid is not None and known == identity:
            self.status.reject(key, body, invalid)  # the operator that led may have gone before it could say so
        elif not self.engine.knows(key, *identity):
            self._take_on(key, identity, body)

    async def lost(self, body: Mapping[str, Any]) -> None:
        """This WorkerPool is gone."""
        await self.gone(_key(body), body["metadata"]["uid"])

    async def gone(self, key: PoolKey, uid: str) -> None:
        """The WorkerPool of this name and uid is gone."""
        if self._holders.get(key, ("", 0))[0] == uid:
            del self._holders[key]
        identity, _ = self._rejected.get(key, (None, None))
        if identity is not None and identity[0] == uid:
            del self._rejected[key]
            self.engine.tell_no_more(key)
        await self.engine.remove(key, uid)

    def _take_on(self, key: PoolKey, identity: Identity, body: Mapping[str, Any]) -> None:
        try:
            pool = read_pool(body)
        except InvalidSpec as invalid:
            self._rejected[key] = (identity, invalid)
            log.warning("%s: not scaled, its spec is invalid: %s", key, invalid)
            self.engine.suspend(key)
            self.metrics.reject(key)
            self.status.adopt(key, body)
            self.status.reject(key, body, invalid)
        else:
            self._rejected.pop(key, None)
            self.engine.put(pool)
            self.status.adopt(key, body)  # after it: the page of another pool of this name is forgotten there


def _key(body: Mapping[str, Any]) -> PoolKey:
    return PoolKey(body["metadata"]["namespace"], body["metadata"]["name"])
