"""An engine between fakes of its three ports, on a clock of its own: `Stage` sets them up.

Each fake has answers to give, calls that may hang until their event is set, and a record of what it was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support.pools import seen
from tests.support.waiting import DEADLINE

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.decision import Reason
from crewcall_operator.core.observation import Fleet, Observation, Pod
from crewcall_operator.engine import Engine
from crewcall_operator.errors import QueueUnavailable, TargetUnavailable
from crewcall_operator.foreman import Foreman
from crewcall_operator.ports import Recovered, Report

SILENT = QueueUnavailable("redis:6379", "no answer for 1 s")
FORBIDDEN = TargetUnavailable("FailedUpdateScale", "deployments.apps is forbidden")


@dataclass
class Time:
    """A clock that stands still, or goes on by `step` seconds whenever it is read."""

    now: float = 1000.0
    step: float = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@dataclass
class Redises:
    """Answers by pool; a Redis whose URL is in `hanging` answers once its event is set."""

    answers: dict[str, Observation | QueueUnavailable] = field(default_factory=dict)
    hanging: dict[str, asyncio.Event] = field(default_factory=dict)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    horizons: list[Mapping[PoolKey, float]] = field(default_factory=list)
    forgotten: list[Pool] = field(default_factory=list)

    def forget(self, pool: Pool) -> None:
        self.forgotten.append(pool)

    async def read(
        self, pools: Sequence[Pool], horizons: Mapping[PoolKey, float]
    ) -> Mapping[PoolKey, Observation | QueueUnavailable]:
        (url,) = {pool.redis.place for pool in pools}
        self.asked.append(tuple(pool.key.name for pool in pools))
        self.horizons.append(horizons)
        if url in self.hanging:
            try:
                await self.hanging[url].wait()
            finally:
                await settled()  # as one that closes its connection
        return {pool.key: self.answers.get(pool.key.name, seen()) for pool in pools}


@dataclass
class Workers:
    """Replicas by pool, and the pods of those in `pods`; `left` are those that were named to go.

    `failing` says what cannot be done: ("ensure", name) or ("scale", name).
    """

    replicas: dict[str, int] = field(default_factory=dict)
    pods: dict[str, list[Pod]] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    left: list[tuple[str, ...]] = field(default_factory=list)
    failing: dict[tuple[str, str], TargetUnavailable] = field(default_factory=dict)
    hanging: dict[tuple[str, str], asyncio.Event] = field(default_factory=dict)
    scaled: list[tuple[str, int]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)

    def take_on(self, pool: Pool) -> None:
        """Nothing to do."""

    async def ensure(self, pool: Pool) -> Fleet:
        await self._come_to(("ensure", pool.key.name))
        current = self.replicas.setdefault(pool.key.name, 0)
        pods = self.pods.get(pool.key.name)
        return Fleet(current, current, None if pods is None else tuple(pods), self.gone)

    async def scale(self, pool: Pool, replicas: int, leaving: Collection[str] = ()) -> None:
        await self._come_to(("scale", pool.key.name))
        self.scaled.append((pool.key.name, replicas))
        self.replicas[pool.key.name] = replicas
        if pool.key.name in self.pods:
            self.left.append(tuple(leaving))
            self.pods[pool.key.name] = [pod for pod in self.pods[pool.key.name] if pod.name not in leaving]

    async def release(self, pool: Pool) -> None:
        self.released.append(pool.uid)

    async def _come_to(self, call: tuple[str, str]) -> None:
        if call in self.hanging:
            await self.hanging[call].wait()
        if call in self.failing:
            raise self.failing[call]


@dataclass
class Wire:
    """What is written for the workers: a pod's word for each order, "drain" or "run", and who was found dead.

    `urls` are where orders were written; those to drain hang until `hanging` is set.
    """

    said: list[tuple[str, str]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    lapsed: list[Recovered] = field(default_factory=list)
    swept: int = 0
    refusing: QueueUnavailable | None = None
    hanging: asyncio.Event | None = None
    urls: list[str] = field(default_factory=list)

    async def give(self, pool: Pool, drain: Collection[str], withdraw: Collection[str]) -> None:
        self._come()
        self.urls.append(pool.redis.url)
        if self.hanging is not None and drain:
            await self.hanging.wait()
        self.said += [*((pod, "drain") for pod in drain), *((pod, "run") for pod in withdraw)]

    async def recover(self, pool: Pool, workers: Sequence[str]) -> Sequence[Recovered]:
        self._come()
        self.dead += workers
        return [Recovered(worker, returned=1) for worker in workers]

    async def recover_lapsed(self, pool: Pool) -> Sequence[Recovered]:
        self._come()
        self.swept += 1
        return self.lapsed

    def _come(self) -> None:
        if self.refusing is not None:
            raise self.refusing


@dataclass
class Board:
    """A reporter that keeps all it is told."""

    reports: list[Report] = field(default_factory=list)
    forgotten: list[PoolKey] = field(default_factory=list)

    def report(self, report: Report) -> None:
        self.reports.append(report)

    def forget(self, key: PoolKey) -> None:
        self.forgotten.append(key)

    @property
    def reasons(self) -> dict[str, Reason | None]:
        """The last reason of each pool."""
        return {r.pool.key.name: r.decision.reason if r.decision else None for r in self.reports}


@dataclass
class Stage:
    """An engine between a fake Redis, fake workers and a fake board."""

    time: Time = field(default_factory=Time)
    wall: Time = field(default_factory=Time)
    redis: Redises = field(default_factory=Redises)
    workers: Workers = field(default_factory=Workers)
    wire: Wire = field(default_factory=Wire)
    board: Board = field(default_factory=Board)
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        foreman = Foreman(self.wire, self.time)
        self.engine = Engine(self.redis, self.workers, (self.board,), self.time, foreman, self.wall)

    async def tick(self, passed: float = 0.0) -> None:
        self.time.now += passed
        await self.engine.tick()

    @asynccontextmanager
    async def during_a_tick(self, hanging: asyncio.Event) -> AsyncIterator[None]:
        """Within this, a tick has come as far as it gets without `hanging`; after it, the tick is over."""
        tick = asyncio.create_task(self.engine.tick())
        await settled()
        assert not tick.done()
        yield
        hanging.set()
        await tick


async def settled() -> None:
    """Let every task go on until it waits for something that does not come by itself."""
    for _ in range(20):
        await asyncio.sleep(0)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that takes real time; raises `TimeoutError` after `DEADLINE`."""
    async with asyncio.timeout(DEADLINE):
        while True:
            if is_so():
                return
            await asyncio.sleep(0.001)
