"""The engine: one tick over all pools, observe -> decide -> apply -> report, through the ports.

Pools that share a Redis are looked at together, and each Redis goes at its own pace, and so does each pool's target:
one that hangs delays its own pools and nobody else's, and so does a defect, which is logged. The engine keeps what the
next decision must remember, and nothing more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.decide import decide, remember
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.model import Decision, Fleet, Mode, Observation
from crewcall_operator.errors import QueueUnavailable, TargetUnavailable
from crewcall_operator.ports import Clock, QueueReader, Report, Reporter, Scaler

log = logging.getLogger("crewcall")

Name = TypeVar("Name", str, PoolKey)


@dataclass(slots=True)
class Engine:
    """Scales every pool that was `put`, until it is `remove`d."""

    reader: QueueReader
    scaler: Scaler
    reporters: Sequence[Reporter]
    clock: Clock
    _pools: dict[PoolKey, Pool] = field(default_factory=dict)
    _memories: dict[str, Memory] = field(default_factory=dict)
    _lanes: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _tended: dict[PoolKey, asyncio.Task[None]] = field(default_factory=dict)
    ticked_at: float | None = None

    @property
    def pools(self) -> Iterable[Pool]:
        return tuple(self._pools.values())

    def knows(self, key: PoolKey, uid: str, generation: int) -> bool:
        """Whether exactly this generation of this pool is being scaled already."""
        pool = self._pools.get(key)
        return pool is not None and (pool.uid, pool.generation) == (uid, generation)

    def put(self, pool: Pool) -> None:
        """Take on a new pool, or a changed one; a pool made anew under an old name starts with no memory."""
        known = self._pools.get(pool.key)
        if known is not None and known.uid != pool.uid:
            self.suspend(pool.key)
        self._pools[pool.key] = pool

    def suspend(self, key: PoolKey) -> None:
        """Scale this pool no more and forget what was seen of it; what runs its workers stays as it is."""
        pool = self._pools.pop(key, None)
        if pool is not None:
            self._memories.pop(pool.uid, None)
        for reporter in self.reporters:
            reporter.forget(key)

    async def remove(self, key: PoolKey, uid: str) -> None:
        """The pool is gone: let go of what ran it and of all that was kept, unless it was made anew meanwhile."""
        pool = self._pools.get(key)
        if pool is not None and pool.uid != uid:
            return
        self.suspend(key)
        if pool is not None:
            await self.scaler.release(pool)

    async def run(self, interval: float) -> None:
        """Tick every `interval` seconds until cancelled. A Redis still busy with its last tick sits this one out."""
        try:
            while True:
                self.ticked_at = self.clock()
                self._start_lanes()
                await asyncio.sleep(max(0.0, self.ticked_at + interval - self.clock()))
        finally:
            await self._stop_lanes()

    async def tick(self) -> None:
        """Look at every pool once, and wait until all is done."""
        self._start_lanes()
        await asyncio.gather(*self._lanes.values())
        await asyncio.gather(*self._tended.values())

    def _start_lanes(self) -> None:
        self._lanes = _going_on(self._lanes)
        self._tended = _going_on(self._tended)
        by_redis = defaultdict(list)
        for pool in self._pools.values():
            if pool.key not in self._tended:
                by_redis[pool.redis.url].append(pool)
        for url, pools in by_redis.items():
            if url not in self._lanes:
                self._lanes[url] = asyncio.create_task(self._tend(pools))

    async def _stop_lanes(self) -> None:
        tasks = [*self._lanes.values(), *self._tended.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._lanes, self._tended = {}, {}

    async def _tend(self, pools: Sequence[Pool]) -> None:
        observations = await self.reader.read(pools)
        for pool in pools:
            self._tended[pool.key] = asyncio.create_task(self._tend_one(pool, observations[pool.key]))

    async def _tend_one(self, pool: Pool, answer: Observation | QueueUnavailable) -> None:
        if self._pools.get(pool.key) is not pool:
            return  # removed or replaced while Redis was asked: what was seen belongs to the old one
        report = await self._scaled(pool, answer)
        known = self._pools.get(pool.key)
        if known is None or known.uid != pool.uid:
            return  # reporters were told to forget it, and would remember it for ever
        for reporter in self.reporters:
            reporter.report(report)

    async def _scaled(self, pool: Pool, answer: Observation | QueueUnavailable) -> Report:
        now = self.clock()
        observed, unavailable = (answer, None) if isinstance(answer, Observation) else (None, answer)
        fleet, decision, failure, applied = None, None, None, False
        try:
            fleet = await self.scaler.ensure(pool)
        except TargetUnavailable as error:
            fleet, failure = error.fleet, error
        if fleet is not None:
            decision = self._decide(pool, observed, fleet.current, now)
            try:
                applied = await self._apply(pool, fleet, decision.replicas)
            except TargetUnavailable as error:
                failure = error
        return Report(pool, now, observed, unavailable, fleet, decision, applied, failure)

    def _decide(self, pool: Pool, observed: Observation | None, current: int, now: float) -> Decision:
        memory = self._memories.get(pool.uid) or Memory.beginning(now, current)
        decision = decide(pool.policy, observed, current, memory, now)
        if self._pools.get(pool.key) is pool:
            self._memories[pool.uid] = remember(pool.policy, memory, observed, decision, now)
        return decision

    async def _apply(self, pool: Pool, fleet: Fleet, replicas: int) -> bool:
        if replicas == fleet.current or pool.policy.mode is not Mode.AUTO:
            return False
        if self._pools.get(pool.key) is not pool:
            return False  # removed or replaced while its target was asked: it may be paused now, or let go of
        await self.scaler.scale(pool, replicas)
        if pool.uid in self._memories:
            self._memories[pool.uid] = self._memories[pool.uid].changing(replicas - fleet.current, self.clock())
        return True


def _going_on(tasks: dict[Name, asyncio.Task[None]]) -> dict[Name, asyncio.Task[None]]:
    """The tasks that still run. What one has raised is a defect: it is logged, and the next tick tries again."""
    for name, task in tasks.items():
        if task.done() and not task.cancelled() and (defect := task.exception()) is not None:
            log.error("%s was left as it is for a tick, by a defect: %r", name, defect, exc_info=defect)
    return {name: task for name, task in tasks.items() if not task.done()}
