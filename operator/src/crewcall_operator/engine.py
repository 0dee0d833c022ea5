"""The engine: one tick over all pools, observe -> decide -> apply -> report, through the ports.

Pools that share a Redis are looked at together, and each Redis goes at its own pace, and so does each pool's target:
one that hangs delays its own pools and nobody else's. Between two ticks a hint has single pools looked at at once. The
engine keeps what the next decision must remember, and nothing more.

Where several operators run, only the leader applies and reports. The others observe and decide all the same, at
leisure, so that whoever takes over remembers what it would have, had it led before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.decide import decide, remember
from crewcall_operator.core.leadership import Leadership, unopposed
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.model import Fleet, Mode, Observation
from crewcall_operator.core.schedule import in_force
from crewcall_operator.core.startups import UNSEEN
from crewcall_operator.errors import QueueUnavailable, TargetUnavailable
from crewcall_operator.foreman import Foreman, plan_for
from crewcall_operator.lanes import Lanes
from crewcall_operator.ports import Clock, QueueReader, Report, Reporter, Scaler
from crewcall_operator.rest import Rest, Sleepless

#: Seconds between two looks of one that does not lead.
AT_LEISURE = 2.0


@dataclass(slots=True)
class Engine:
    """Scales every pool that was `put`, until it is `remove`d.

    `wall_clock` tells seconds since the epoch, for schedules and nothing else: it may jump. `startup` is for how long,
    in seconds, a replica is thought to start until that was seen.
    """

    reader: QueueReader
    scaler: Scaler
    reporters: Sequence[Reporter]
    clock: Clock
    foreman: Foreman
    wall_clock: Clock
    startup: float = UNSEEN
    leadership: Leadership = unopposed
    rest: Rest = field(init=False)
    _pools: dict[PoolKey, Pool] = field(default_factory=dict)
    _memories: dict[str, Memory] = field(default_factory=dict)
    _watched: dict[str, int] = field(default_factory=dict)
    _lanes: Lanes = field(init=False)
    ticked_at: float | None = None

    def __post_init__(self) -> None:
        self._lanes = Lanes(self._tend, self._pools.get)
        self.rest = Rest(Sleepless(), self.clock)

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
            self._watched.pop(pool.uid, None)
        self.rest.forget(key)
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
        if self._leads:
            self._lanes.hint(url, keys)

    def take_over(self) -> None:
        """This operator has become the leader: look at everything at once."""
        self.rest.stir_all()
        for pool in self.pools:
            self.hint(pool.redis.place, (pool.key,))

    async def run(self, interval: float) -> None:
        """Tick every `interval` seconds until cancelled. A Redis still busy with its last tick sits this one out."""
        looked_at = -math.inf
        try:
            while True:
                self.ticked_at = self.clock()
                if self._leads or self.ticked_at - looked_at >= AT_LEISURE:
                    looked_at = self.ticked_at
                    self._lanes.start(self.pools)
                await self._lanes.follow_hints(self.ticked_at + interval - self.clock())
        finally:
            await self._lanes.stop()

    async def tick(self) -> None:
        """Look at every pool once, and wait until all is done."""
        self._lanes.start(self.pools)
        await self._lanes.finish()

    async def _tend(self, pools: Sequence[Pool]) -> None:
        awake = await self.rest.awake(pools)
        observations = await self.reader.read(awake) if awake else {}
        for pool in awake:
            self._lanes.go(pool.key, self._tend_one(pool, observations[pool.key]))

    async def _tend_one(self, pool: Pool, answer: Observation | QueueUnavailable) -> None:
        if not self._is_current(pool):
            return  # removed or replaced while Redis was asked: what was seen belongs to the old one
        report = await self._scaled(pool, answer)
        if self._is_current(pool):
            self.rest.consider(report)
        known = self._pools.get(pool.key)
        if known is None or known.uid != pool.uid or not self._leads:
            return  # reporters were told to forget it, and would remember it for ever; or it is the leader's to tell
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
        schedule = in_force(pool.policy.schedules, self.wall_clock())
        decision = decide(pool.policy, observed, fleet.current, memory, now, schedule)
        steps = plan_for(pool, fleet, observed, memory, decision.replicas, now)
        memory = remember(pool.policy, memory, observed, decision, now)
        report = replace(report, fleet=fleet, decision=decision, plan=steps, flow=memory.flow)
        self._keep(pool, memory)
        if not self._leads:
            return report
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
        memory = self.rest.rested(pool, memory)
        before = self._watched.pop(pool.uid, fleet.current)
        if before != fleet.current:
            memory = memory.changing(fleet.current - before, now)  # the leader's doing
        if not self._leads:
            self._watched[pool.uid] = fleet.current
        if observed is None:
            return memory
        with_worker = frozenset(worker.pod for worker in observed.workers)
        startups = memory.startups.seeing(fleet.pods or (), with_worker, now)
        return replace(memory.standing(observed.orders, now), startups=startups)

    @property
    def _leads(self) -> bool:
        return self.leadership() > 0

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
