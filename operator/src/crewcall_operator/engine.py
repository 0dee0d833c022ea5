"""The engine: one tick over all pools, observe -> decide -> apply -> report, through the ports.

Pools that share a Redis are looked at together, and each Redis goes at its own pace, and so does each pool's target:
one that hangs delays its own pools and nobody else's. Between two ticks a hint has single pools looked at at once. The
engine keeps what the next decision must remember, and nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.crew import threads_told
from crewcall_operator.core.decide import decide, remember
from crewcall_operator.core.estimate import estimate
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.model import Fleet, Mode, Observation
from crewcall_operator.core.startups import UNSEEN
from crewcall_operator.errors import QueueUnavailable, TargetUnavailable
from crewcall_operator.foreman import Foreman, plan_for
from crewcall_operator.lanes import Lanes
from crewcall_operator.manning import manned
from crewcall_operator.ports import Clock, QueueReader, Report, Reporter, Scaler


@dataclass(slots=True)
class Engine:
    """Scales every pool that was `put`, until it is `remove`d.

    `startup` is for how long, in seconds, a replica is thought to start until that was seen.
    """

    reader: QueueReader
    scaler: Scaler
    reporters: Sequence[Reporter]
    clock: Clock
    foreman: Foreman
    startup: float = UNSEEN
    _pools: dict[PoolKey, Pool] = field(default_factory=dict)
    _memories: dict[str, Memory] = field(default_factory=dict)
    _lanes: Lanes = field(init=False)
    ticked_at: float | None = None

    def __post_init__(self) -> None:
        self._lanes = Lanes(self._tend, self._pools.get)

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
        memory = self._memories.get(uid)
        self.suspend(key)
        if pool is not None:
            if memory is not None:
                await self.foreman.let_go(pool, memory)
            await self.scaler.release(pool)

    def hint(self, url: str, keys: Iterable[PoolKey]) -> None:
        """There may be work for these pools on the Redis at `url`: look at once, not at the next tick."""
        self._lanes.hint(url, keys)

    async def run(self, interval: float) -> None:
        """Tick every `interval` seconds until cancelled. A Redis still busy with its last tick sits this one out."""
        try:
            while True:
                self.ticked_at = self.clock()
                self._lanes.start(self.pools)
                await self._lanes.follow_hints(self.ticked_at + interval - self.clock())
        finally:
            await self._lanes.stop()

    async def tick(self) -> None:
        """Look at every pool once, and wait until all is done."""
        self._lanes.start(self.pools)
        await self._lanes.finish()

    async def _tend(self, pools: Sequence[Pool]) -> None:
        observations = await self.reader.read(pools, self._horizons(pools))
        for pool in pools:
            self._lanes.go(pool.key, self._tend_one(pool, observations[pool.key]))

    async def _tend_one(self, pool: Pool, answer: Observation | QueueUnavailable) -> None:
        if not self._is_current(pool):
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
        report = Report(pool, now, observed, unavailable)
        fleet: Fleet | None
        try:
            fleet = await self.scaler.ensure(pool)
        except TargetUnavailable as error:
            report = replace(report, failure=error)
            fleet = error.fleet
        if fleet is None:
            return report
        memory = self._recalled(pool, fleet, observed, now)
        observed = manned(pool, fleet, observed, memory, now)
        if observed is not None:
            memory = memory.working(observed, now)  # once, for the decision and all that is remembered of it
        decision = decide(pool.policy, observed, fleet.current, memory, now)
        steps = plan_for(pool, fleet, observed, memory, decision.replicas, now)
        report = replace(report, observation=observed, fleet=fleet, decision=decision, plan=steps)
        memory = remember(pool.policy, memory, observed, decision, now)
        report = replace(report, estimate=estimate(pool.policy, observed, memory))
        self._keep(pool, memory)
        try:
            report = replace(report, applied=await self._apply(pool, report))
            if observed is not None:
                recovered, trouble = await self.foreman.recover(pool, fleet, observed)
                report = replace(report, recovered=recovered, hindered=(*observed.unread, *trouble))
        except TargetUnavailable as error:
            report = replace(report, failure=error)
        except QueueUnavailable as error:
            report = replace(report, unavailable=error)
        return report

    def _recalled(self, pool: Pool, fleet: Fleet, observed: Observation | None, now: float) -> Memory:
        memory = self._memories.get(pool.uid) or Memory.beginning(now, fleet.current, self.startup)
        if observed is None:
            return memory
        with_worker = frozenset(worker.pod for worker in observed.workers)
        startups = memory.startups.seeing(fleet.pods or (), with_worker, now)
        memory = memory.standing(observed.orders, now).hearing(threads_told(observed.workers))
        return replace(memory, startups=startups)

    def _horizons(self, pools: Sequence[Pool]) -> dict[PoolKey, float]:
        """Of each pool, in how many seconds a new replica would work: what is due by then has to be prepared for."""
        memories = ((pool.key, self._memories.get(pool.uid)) for pool in pools)
        return {key: self.startup if memory is None else memory.startups.usual for key, memory in memories}

    def _keep(self, pool: Pool, memory: Memory) -> None:
        if self._is_current(pool):
            self._memories[pool.uid] = memory

    def _is_current(self, pool: Pool) -> bool:
        """Not when it was removed or replaced while somebody was asked: it may be paused now, or let go of."""
        return self._pools.get(pool.key) is pool

    async def _apply(self, pool: Pool, report: Report) -> bool:
        """Give the orders first: a drained worker that is needed again is sooner at work than a new one."""
        if report.plan is not None and self._is_current(pool):
            self._keep(pool, await self.foreman.order(pool, report.plan, self._memories[pool.uid]))
        fleet, replicas = report.fleet, report.replicas
        if fleet is None or replicas is None or replicas == fleet.current or pool.policy.mode is not Mode.AUTO:
            return False
        if not self._is_current(pool):
            return False
        await self.scaler.scale(pool, replicas, report.plan.remove if report.plan is not None else ())
        if pool.uid in self._memories:
            self._memories[pool.uid] = self._memories[pool.uid].changing(replicas - fleet.current, self.clock())
        return True
