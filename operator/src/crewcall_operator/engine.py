"""The engine: one tick over all pools, observe -> decide -> apply -> report, through the ports.

Pools that share a Redis are looked at together, and each Redis goes at its own pace, and so does each pool's target:
one that hangs delays its own pools and nobody else's. Between two ticks a hint has single pools looked at at once. What
is done with one pool is its `turn`; which pools there are, and what is remembered of them, is on the `roster`.

Where several operators run, only the leader applies and reports. The others observe and decide all the same, at
leisure, so that whoever takes over remembers what it would have, had it led before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.leadership import Leadership, unopposed
from crewcall_operator.core.observation import Observation
from crewcall_operator.core.startups import UNSEEN
from crewcall_operator.errors import QueueUnavailable
from crewcall_operator.foreman import Foreman
from crewcall_operator.lanes import Lanes
from crewcall_operator.ports import Clock, QueueReader, Reporter, Scaler
from crewcall_operator.rest import Rest, Sleepless, Stirring
from crewcall_operator.roster import Roster
from crewcall_operator.turn import Turn

#: Seconds between two looks of one that does not lead.
AT_LEISURE = 2.0

#: Looks that a pool may miss until it was out of sight: the machine stood still, or its target could not be asked for.
MISSED = 3


@dataclass(slots=True)
class Engine:
    """Scales every pool that was `put`, until it is `remove`d.

    `wall_clock` tells seconds since the epoch, for schedules and nothing else: it may jump. `startup` is for how long,
    in seconds, a replica is thought to start until that was seen; `ticked_at` is when it last ticked, None while it
    does not run.
    """

    reader: QueueReader
    scaler: Scaler
    reporters: Sequence[Reporter]
    clock: Clock
    foreman: Foreman
    wall_clock: Clock
    startup: float = UNSEEN
    leadership: Leadership = unopposed
    stirring: Stirring = field(default_factory=Sleepless)
    rest: Rest = field(init=False)
    _roster: Roster = field(default_factory=Roster)
    _turn: Turn = field(init=False)
    _lanes: Lanes = field(init=False)
    ticked_at: float | None = None

    def __post_init__(self) -> None:
        self.rest = Rest(self.stirring, self.clock)
        self._turn = Turn(
            self.scaler,
            self.foreman,
            self._roster,
            self.rest,
            self.clock,
            self.wall_clock,
            lambda: self.leadership(),
            self.startup,
        )
        self._lanes = Lanes(self._tend, self._roster.get)

    @property
    def pools(self) -> Iterable[Pool]:
        return self._roster.pools

    def knows(self, key: PoolKey, uid: str, generation: int) -> bool:
        """Whether exactly this generation of this pool is being scaled already."""
        pool = self._roster.get(key)
        return pool is not None and (pool.uid, pool.generation) == (uid, generation)

    def put(self, pool: Pool) -> None:
        """Take on a new pool, or a changed one; a pool made anew under an old name starts with no memory."""
        known = self._roster.get(pool.key)
        if known is not None and known.uid != pool.uid:
            self.suspend(pool.key)
        elif known is not None and known.redis != pool.redis:
            self.reader.forget(known)
            self._let_work(known)  # whoever is still there hears nothing of what is said on the new one
        self._roster.put(pool)
        self.scaler.take_on(pool)

    def suspend(self, key: PoolKey) -> None:
        """Scale this pool no more and forget what was seen of it; what runs its workers stays as it is."""
        pool = self._roster.get(key)
        if pool is not None:
            self._let_work(pool)
            self._roster.suspend(key)
            self.reader.forget(pool)
            self.foreman.forget(key)
        self.rest.forget(key)
        self.tell_no_more(key)

    def tell_no_more(self, key: PoolKey) -> None:
        """Have the reporters forget whoever has this name."""
        for reporter in self.reporters:
            reporter.forget(key)

    async def remove(self, key: PoolKey, uid: str) -> None:
        """The pool is gone: let go of what ran it and of all that was kept, unless it was made anew meanwhile."""
        pool = self._roster.known(key)
        if pool is None or pool.uid != uid:
            return
        if self._roster.get(key) is pool:
            self.suspend(key)
        self._roster.strike(key)
        await self.scaler.release(pool)

    def hint(self, url: str, keys: Iterable[PoolKey]) -> None:
        """There may be work for these pools on the Redis at `url`: look at once, not at the next tick."""
        if self._leads:
            self._lanes.hint(url, keys)

    def take_over(self) -> None:
        """This operator has become the leader: look at everything at once."""
        self._roster.term += 1
        self.rest.stir_all()
        for pool in self.pools:
            self.hint(pool.redis.place, (pool.key,))

    async def run(self, interval: float) -> None:
        """Tick every `interval` seconds until cancelled. A Redis still busy with its last tick sits this one out."""
        looked_at = -math.inf
        self._roster.patience = MISSED * max(AT_LEISURE, interval)
        try:
            while True:
                self.ticked_at = self.clock()
                if self._leads or self.ticked_at - looked_at >= AT_LEISURE:
                    looked_at = self.ticked_at
                    self._lanes.start(self.pools)
                await self._lanes.follow_hints(self.ticked_at + interval - self.clock())
        finally:
            self.ticked_at = None
            await self._lanes.stop()

    async def tick(self) -> None:
        """Look at every pool once, and wait until all is done."""
        self._lanes.start(self.pools)
        await self._lanes.finish()

    async def _tend(self, pools: Sequence[Pool]) -> None:
        awake = await self.rest.awake(pools)
        observations = await self.reader.read(awake, self._horizons(awake)) if awake else {}
        await self._lanes.go(awake, lambda pool: self._tend_one(pool, observations[pool.key]))

    async def _tend_one(self, pool: Pool, answer: Observation | QueueUnavailable) -> None:
        if not self._roster.is_current(pool):
            return  # removed or replaced while Redis was asked: what was seen belongs to the old one
        self.rest.begin_look(pool.key)
        report = await self._turn.take(pool, answer)
        if self._roster.is_current(pool):
            self.rest.consider(report)
        if not self._roster.is_there(pool) or not self._leads:
            return  # reporters were told to forget it, and would remember it for ever; or it is the leader's to tell
        for reporter in self.reporters:
            reporter.report(report)

    @property
    def _leads(self) -> bool:
        return self.leadership() > 0

    def _horizons(self, pools: Sequence[Pool]) -> dict[PoolKey, float]:
        """Of each pool, in how many seconds a new replica would work: what is due by then has to be prepared for."""
        memories = ((pool.key, self._roster.memory(pool)) for pool in pools)
        return {key: self.startup if memory is None else memory.startups.usual for key, memory in memories}

    def _let_work(self, pool: Pool) -> None:
        """Have what was ordered withdrawn, as nobody may look there again."""
        memory = self._roster.memory(pool)
        if memory is not None and memory.orders:
            self._lanes.aside(self.foreman.let_work(pool, memory.orders))
