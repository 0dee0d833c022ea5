"""Pools at rest: nothing to do, nothing running, and nothing that time alone would change.

Of thousands of pools most are idle. For one that is at rest it is only asked whether it still is, together with all
others on its Redis, at the same pace as ever; so work that comes to it is found as soon as before. Whatever else
happens to it, a changed spec, Deployment or pod, ends its rest. And now and then it is looked at in full all the same,
so that whatever is not thought of here comes late, but comes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from zlib import crc32

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.decision import Reason
from crewcall_operator.core.memory import Memory
from crewcall_operator.ports import Clock, Report

#: Seconds between two full looks at a pool at rest, at the most; at the least it is half of it, to spread them.
FULL_LOOK = 60.0

#: Reasons for a number of replicas that hold until something happens.
_LASTING = frozenset({Reason.IDLE, Reason.TOO_FEW_REPLICAS, Reason.PINNED, Reason.PAUSED, Reason.TARGET_NOT_AVAILABLE})


class Stirring(Protocol):
    """Finds pools in whose Redis there is anything at all."""

    async def stirring(self, pools: Sequence[Pool]) -> Collection[PoolKey]:
        """Those of `pools`, all on one Redis, that have jobs, workers, orders or a pin, or could not be asked about."""
        ...


class Sleepless:
    """Implements `Stirring` for those who look at every pool at every tick."""

    async def stirring(self, pools: Sequence[Pool]) -> Collection[PoolKey]:
        return [pool.key for pool in pools]


@dataclass(slots=True)
class _Resting:
    """A pool at rest until then, last seen so at `seen_at`."""

    pool: Pool
    until: float
    seen_at: float


@dataclass(slots=True)
class Rest:
    """Which pools are at rest; `clock` is the engine's."""

    redis: Stirring
    clock: Clock
    _resting: dict[PoolKey, _Resting] = field(default_factory=dict)
    _seen: dict[PoolKey, float] = field(default_factory=dict)
    _stirred: dict[PoolKey, bool] = field(default_factory=dict)

    async def awake(self, pools: Sequence[Pool]) -> Sequence[Pool]:
        """Those of `pools`, all on one Redis, that are to be looked at in full now."""
        now = self.clock()
        resting = {pool.key: found for pool in pools if (found := self._rest_of(pool, now)) is not None}
        if not resting:
            return pools
        for key in await self.redis.stirring(pools):
            if resting.pop(key, None) is not None:
                self.stir(key)
        for found in resting.values():
            found.seen_at = now
        return [pool for pool in pools if pool.key not in resting]

    def begin_look(self, key: PoolKey) -> None:
        """A look begins: what happens to the pool from here on, it may not see."""
        self._stirred[key] = False

    def consider(self, report: Report) -> None:
        """A look is over: from now on the pool may rest, or not."""
        is_stirred = self._stirred.pop(report.pool.key, False)
        if _has_nothing_to_do(report) and not is_stirred:
            pool, now = report.pool, self.clock()
            spread = crc32(f"{pool.key} {now}".encode()) / 2**33
            self._resting[pool.key] = _Resting(pool, now + FULL_LOOK * (0.5 + spread), now)

    def stir(self, key: PoolKey) -> None:
        """Something has happened to this pool."""
        if key in self._stirred:
            self._stirred[key] = True
        found = self._resting.pop(key, None)
        if found is not None:
            self._seen[key] = found.seen_at

    def stir_all(self) -> None:
        """Something has happened that concerns every pool."""
        for key in [*self._resting, *self._stirred]:
            self.stir(key)

    def forget(self, key: PoolKey) -> None:
        self._resting.pop(key, None)
        self._seen.pop(key, None)
        self._stirred.pop(key, None)

    def rested(self, pool: Pool, memory: Memory) -> Memory:
        """What to remember of a pool that has just been woken: until it was last seen at rest, nothing happened."""
        at = self._seen.pop(pool.key, None)
        if at is None or at <= memory.observed_at:
            return memory
        return memory.resting(at)

    def _rest_of(self, pool: Pool, now: float) -> _Resting | None:
        found = self._resting.get(pool.key)
        if found is not None and (found.pool is not pool or now >= found.until):
            self.stir(pool.key)
            return None
        return found


def _has_nothing_to_do(report: Report) -> bool:
    seen, fleet, decision = report.observation, report.fleet, report.decision
    if seen is None or fleet is None or decision is None or report.pool.policy.schedules:
        return False
    met = report.failure or report.unavailable or report.applied or report.recovered or report.hindered
    found = seen.workers or seen.orders or seen.unread or any(it.outstanding or it.delayed for it in seen.queues)
    is_settled = fleet.current == fleet.ready == decision.replicas and decision.reason in _LASTING
    return is_settled and not met and not found
