"""Processes for pods: what runs the workers where there is no cluster.

For development machines and single hosts. Everything happens in `ensure`, which the engine calls at every tick:
dead workers are noticed and started again with a growing delay, drained ones killed once their grace period is over.
What happens to the processes if this one is killed itself is in `lifeline`; what they run is in `launch`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

from crewcall_operator.adapters.launch import Launch, launch_of
from crewcall_operator.adapters.lifeline import Lifeline
from crewcall_operator.adapters.worker_process import ProcessState, WorkerProcess, WorkerStatus
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.observation import Fleet, Pod
from crewcall_operator.errors import InvalidSpec, TargetUnavailable
from crewcall_operator.ports import Clock

POLL = 0.05
Tell = Callable[[PoolKey, str], None]


@dataclass(slots=True)
class Crew:
    """A pool's workers, oldest first: those that shall run, those on their way home, and the names of those gone."""

    pool: Pool
    launch: Launch
    on_duty: list[WorkerProcess] = field(default_factory=list)
    leaving: list[WorkerProcess] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)

    def tend(self, now: float) -> None:
        for worker in (*self.on_duty, *self.leaving):
            worker.tend(now)
        self.gone.update(worker.name for worker in self.leaving if worker.state(now) is ProcessState.GONE)
        self.leaving = [worker for worker in self.leaving if worker.state(now) is not ProcessState.GONE]

    def fleet(self, now: float) -> Fleet:
        states = [worker.state(now) for worker in self.on_duty]
        pods = tuple(
            Pod(worker.name, is_ready=state is ProcessState.RUNNING, created=worker.since)
            for worker, state in zip(self.on_duty, states, strict=True)
        )
        down = {pod.name for pod, state in zip(pods, states, strict=True) if state is ProcessState.BACK_OFF}
        return Fleet(len(pods), sum(pod.is_ready for pod in pods), pods, frozenset(self.gone | down))

    def send_home(self, workers: Iterable[WorkerProcess], now: float) -> None:
        for worker in workers:
            worker.drain(now)
            self.leaving.append(worker)
        self.on_duty = [worker for worker in self.on_duty if worker not in self.leaving]


class ProcessScaler:
    """Implements `ports.Scaler`. `tell` gets a sentence for whatever befalls a worker unasked; `clock` in seconds."""

    def __init__(
        self,
        inherited: Mapping[str, str],
        directory: Path,
        logs: Path,
        lifeline: Lifeline,
        tell: Tell,
        clock: Clock,
    ) -> None:
        """Workers get the `inherited` environment and run in `directory`, each with a log file under `logs`."""
        self._inherited = inherited
        self._directory = directory
        self._logs = logs
        self._tell = tell
        self._clock = clock
        self._lifeline = lifeline
        self._crews: dict[PoolKey, Crew] = {}

    def take_on(self, pool: Pool) -> None:
        """Nothing to do: its workers are nobody else's."""

    async def ensure(self, pool: Pool) -> Fleet:
        """Tend the pool's workers. A changed template holds for workers started from now on."""
        crew = self._crew(pool)
        now = self._clock()
        crew.tend(now)
        return crew.fleet(now)

    async def scale(self, pool: Pool, replicas: int, leaving: Collection[str] = ()) -> None:
        """Start workers, or send home those named, and else the newest: they have the least to lose."""
        crew = self._crew(pool)
        order = sorted(crew.on_duty, key=lambda worker: worker.name in leaving)
        crew.send_home(order[replicas:], self._clock())
        for _ in range(replicas - len(crew.on_duty)):
            self._hire(crew)

    async def release(self, pool: Pool) -> None:
        """Drain all; `close` waits for them."""
        if crew := self._crews.get(pool.key):
            crew.send_home(crew.on_duty, self._clock())

    def workers(self, key: PoolKey) -> tuple[WorkerStatus, ...]:
        """Every process of a pool as it is now, the draining ones last."""
        crew, now = self._crews.get(key), self._clock()
        return tuple(worker.status(now) for worker in (*crew.on_duty, *crew.leaving)) if crew else ()

    def count(self) -> int:
        """The workers of all pools that have not gone, the draining ones included."""
        return sum(len(crew.on_duty) + len(crew.leaving) for crew in self._crews.values())

    async def close(self) -> None:
        """Drain all workers of all pools and wait for them: at most the longest grace period, less after `kill`."""
        for crew in self._crews.values():
            crew.send_home(crew.on_duty, self._clock())
        while self.count():
            await asyncio.sleep(POLL)
            for crew in self._crews.values():
                crew.tend(self._clock())

    def kill(self) -> None:
        """End every worker at once; its jobs stay in Redis, unacknowledged."""
        now = self._clock()
        for crew in self._crews.values():
            crew.send_home(crew.on_duty, now)
            for worker in crew.leaving:
                worker.kill(now)

    def _crew(self, pool: Pool) -> Crew:
        crew = self._crews.get(pool.key)
        if crew is None or crew.pool is not pool:
            try:
                launch = launch_of(pool, self._inherited, self._directory)
            except InvalidSpec as error:
                raise TargetUnavailable("FailedGetScale", str(error)) from error
            crew = Crew(pool, launch, crew.on_duty, crew.leaving, crew.gone) if crew else Crew(pool, launch)
            self._crews[pool.key] = crew
        return crew

    def _hire(self, crew: Crew) -> None:
        name = self._free_name(crew)
        worker = WorkerProcess(
            name,
            crew.launch,
            self._logs / f"{crew.pool.key.namespace}.{name}.log",
            self._lifeline,
            partial(self._tell, crew.pool.key),
        )
        try:
            worker.start(self._clock())
        except OSError as error:
            program = crew.launch.arguments[0]
            raise TargetUnavailable("FailedUpdateScale", f"{program} cannot be started: {error.strerror}") from error
        crew.gone.discard(name)
        crew.on_duty.append(worker)

    @staticmethod
    def _free_name(crew: Crew) -> str:
        taken = {worker.name for worker in (*crew.on_duty, *crew.leaving)}
        names = (f"{crew.pool.key.name}-{number}" for number in count(1))
        return next(name for name in names if name not in taken)
