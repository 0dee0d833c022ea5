"""The life of a pool that is sized by a promise: the real engine between fakes, second by second.

Jobs come and are done at even rates, all alike; pods work once they have had their start-up time, and tell what they
do as workers with the runtime. Every test changes one thing of that world, and looks at what the engine makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count

from tests.support.pools import pool
from tests.support.stage import SILENT, Stage

from crewcall_operator.api.pool import Pool
from crewcall_operator.core.counters import Counters
from crewcall_operator.core.estimate import Estimate
from crewcall_operator.core.observation import Observation, Pod, QueueState, Worker, WorkerState
from crewcall_operator.core.policy import OnSaturation, QueueLatency
from crewcall_operator.ports import Report

NAME = "sms"


@dataclass
class Life:
    """`rate` jobs a second come, of `service` seconds each; a pod runs `threads` at once, `startup` s after its birth.

    The `downstream` lets so many be at work at once. `stuck` jobs never end. `is_plain`: workers without the runtime,
    and with `counted_producers` False such producers. Where `is_away` Redis does not answer; `nodes` is how many pods
    find a place.
    """

    most: int = 20
    promise: float = 30.0
    does: OnSaturation = OnSaturation.REPORT
    rate: float = 4.0
    service: float = 1.0
    threads: int = 4
    concurrency: int | None = None
    startup: float = 10.0
    downstream: float = float("inf")
    stuck: int = 0
    nodes: int = 1000
    is_plain: bool = False
    counted_producers: bool = True
    is_away: bool = False
    stage: Stage = field(default_factory=Stage)
    waiting: float = 0.0
    arrived: float = 0.0
    ended: float = 0.0
    busy: float = 0.0
    story: list[tuple[float, int]] = field(default_factory=list)
    _names: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        plain = pool(NAME, max=self.most, target=QueueLatency(self.promise, self.does), cooldown=60.0)
        self.pool: Pool = replace(plain, concurrency=self.concurrency)
        self.stage.workers.pods[NAME] = []
        self.stage.workers.replicas[NAME] = 0
        self.stage.engine.put(self.pool)

    async def lived(self, seconds: int) -> set[int]:
        """So many seconds pass; every number of replicas there was."""
        seen = set()
        for _ in range(seconds):
            self._work()
            self.stage.redis.answers[NAME] = SILENT if self.is_away else self._look()
            await self.stage.tick(passed=1.0)
            self._make_pods()
            seen.add(self.replicas)
            self.story.append((self.stage.time.now, self.replicas))
        return seen

    @property
    def replicas(self) -> int:
        return self.stage.workers.replicas[NAME]

    @property
    def pods(self) -> list[Pod]:
        return self.stage.workers.pods[NAME]

    @property
    def last(self) -> Report:
        return self.stage.board.reports[-1]

    @property
    def estimate(self) -> Estimate:
        assert self.last.estimate is not None
        return self.last.estimate

    def replace_pods(self, number: int) -> None:
        """A rollout: so many of the oldest pods are gone, and new ones are there in their place."""
        del self.pods[:number]
        self._make_pods()

    def delete_counters(self) -> None:
        self.arrived = self.ended = self.busy = 0.0

    @property
    def working(self) -> list[Pod]:
        placed = [pod for pod in self.pods if not pod.is_unschedulable]
        return [pod for pod in placed if self.stage.time.now - pod.created >= self.startup]

    @property
    def _running(self) -> float:
        free = len(self.working) * self.threads - min(self.stuck, len(self.working) * self.threads)
        return min(self.waiting, free)

    def _work(self) -> None:
        self.busy += self._running + min(self.stuck, len(self.working) * self.threads)
        done = min(self.waiting, min(self._running, self.downstream) / self.service)
        self.ended += done
        self.arrived += self.rate
        self.waiting += self.rate - done

    def _make_pods(self) -> None:
        now = self.stage.time.now
        while len(self.pods) < self.replicas:
            is_lost = len(self.pods) >= self.nodes
            self.pods.append(Pod(f"pod-{next(self._names)}", False, now, is_unschedulable=is_lost))
        working = self.working
        self.pods[:] = [replace(pod, is_ready=pod in working) for pod in self.pods]

    def _look(self) -> Observation:
        orders = dict(self.stage.wire.said)
        running = int(self._running) + self.stuck
        working = self.working
        counters = Counters(
            int(self.arrived) if self.counted_producers else 0,
            0 if self.is_plain else int(self.ended),
            0.0 if self.is_plain else self.busy,
        )
        held = int(self.waiting) + self.stuck
        queue = QueueState(NAME, ready=held - running, in_flight=running, counters=counters)
        if self.is_plain:
            return Observation((queue,))
        share = running // len(working) if working else 0
        workers = tuple(self._worker(pod, share, orders.get(pod.name) == "drain") for pod in working)
        drained = frozenset(pod.name for pod in self.pods if orders.get(pod.name) == "drain")
        return Observation((queue,), workers, drained)

    def _worker(self, pod: Pod, busy: int, is_drained: bool) -> Worker:
        state = WorkerState.DRAINED if is_drained else WorkerState.RUNNING
        return Worker(f"of-{pod.name}", pod.name, state, 0 if is_drained else busy, threads=self.threads)
