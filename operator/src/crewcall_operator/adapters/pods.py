"""The pods of pools as the watch shows them: which there are, which are ready, which have ended for certain.

Only pods with the label `crewcall.dev/pool` are watched. What is kept of one is a few words: there may be thousands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from crewcall_operator.api.names import ANNOTATION_DELETION_COST, FIRST_TO_GO, LABEL_POOL
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.core.observation import Phase, Pod
from crewcall_operator.ports import Clock

#: Seconds for which it is remembered that a pod is gone: its workers' records do not outlive it for longer.
GONE_KEPT = 300.0
ENDED = ("Succeeded", "Failed")


class _Seen(NamedTuple):
    """A pod at one version; one that is on its way out or has ended is no replica any more."""

    version: int
    pod: Pod
    is_replica: bool


class Pods:
    """Those that were seen, by pool. `clock` is the engine's, `wall_clock` tells Unix time; both in seconds."""

    def __init__(self, clock: Clock, wall_clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._seen: dict[PoolKey, dict[str, _Seen]] = defaultdict(dict)
        self._gone: dict[PoolKey, dict[str, float]] = defaultdict(dict)
        self._tidied_at = clock()

    def saw(self, body: Mapping[str, Any]) -> None:
        """The watch, a list or an answer shows this pod; an older sight than the last one counts for nothing."""
        pool, name = pod_key(body)
        if pool is None:
            return
        version = int(body["metadata"]["resourceVersion"])
        known = self._seen.get(pool, {}).get(name)
        if (known is not None and version < known.version) or name in self._gone.get(pool, {}):
            return
        if body.get("status", {}).get("phase") in ENDED:
            self.lost(body)
            return
        self._seen[pool][name] = _Seen(version, self._pod(body), "deletionTimestamp" not in body["metadata"])

    def lost(self, body: Mapping[str, Any]) -> None:
        """The watch shows that this pod is gone."""
        pool = _pool(body)
        if pool is not None:
            self.missing(pool, body["metadata"]["name"])

    def missing(self, pool: PoolKey, name: str) -> None:
        """The API server knows no such pod any more."""
        self._seen.get(pool, {}).pop(name, None)
        self._gone[pool][name] = self._clock()
        self._tidy()

    def names(self) -> set[tuple[PoolKey, str]]:
        """All pods that are known, those on their way out included."""
        return {(pool, name) for pool, pods in self._seen.items() for name in pods}

    def of(self, pool: PoolKey) -> tuple[Pod, ...]:
        """The pool's replicas: those that run or will, and were not asked to end."""
        return tuple(seen.pod for seen in self._seen.get(pool, {}).values() if seen.is_replica)

    def gone(self, pool: PoolKey) -> frozenset[str]:
        """The names of the pool's pods that were seen to go lately."""
        before = self._clock() - GONE_KEPT
        return frozenset(name for name, at in self._gone.get(pool, {}).items() if at >= before)

    def forget(self, pool: PoolKey) -> None:
        """The pool is gone, and its pods with it."""
        self._seen.pop(pool, None)
        self._gone.pop(pool, None)

    def _tidy(self) -> None:
        """Drop what is remembered for long enough, also of pools that nobody here scales or that are gone."""
        now = self._clock()
        if now - self._tidied_at < GONE_KEPT:
            return
        self._tidied_at = now
        for pool, gone in list(self._gone.items()):
            kept = {name: at for name, at in gone.items() if at >= now - GONE_KEPT}
            self._gone.pop(pool)
            if kept:
                self._gone[pool] = kept
        for pool in [pool for pool, pods in self._seen.items() if not pods]:
            del self._seen[pool]

    def _pod(self, body: Mapping[str, Any]) -> Pod:
        metadata = body["metadata"]
        age = self._wall_clock() - datetime.fromisoformat(metadata["creationTimestamp"]).timestamp()
        status = body.get("status", {})
        conditions = status.get("conditions") or ()
        return Pod(
            name=metadata["name"],
            is_ready=any(it["type"] == "Ready" and it["status"] == "True" for it in conditions),
            created=self._clock() - max(0.0, age),
            is_marked=(metadata.get("annotations") or {}).get(ANNOTATION_DELETION_COST) == FIRST_TO_GO,
            phase=Phase[(status.get("phase") or "Pending").upper()],
            is_unschedulable=any(
                (it["type"], it["status"], it.get("reason")) == ("PodScheduled", "False", "Unschedulable")
                for it in conditions
            ),
        )


def pod_key(body: Mapping[str, Any]) -> tuple[PoolKey | None, str]:
    """Which pod of which pool; None for one that is of no pool."""
    return _pool(body), body["metadata"]["name"]


def _pool(body: Mapping[str, Any]) -> PoolKey | None:
    name = (body["metadata"].get("labels") or {}).get(LABEL_POOL)
    return None if name is None else PoolKey(body["metadata"]["namespace"], name)
