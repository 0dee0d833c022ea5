"""Processes for pods: what runs the workers where there is no cluster.

For development machines and single hosts. Everything happens in `ensure`, which the engine calls at every tick:
dead workers are noticed and started again with a growing delay, drained ones killed once their grace period is over.
What happens to the processes if this one is killed itself is in `lifeline`; what they run is in `launch`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
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
class PoolProcesses:
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
        self._pools: dict[PoolKey, PoolProcesses] = {}

    def take_on(self, pool: Pool) -> None:
        """Nothing to do: its workers are nobody else's."""

    async def ensure(self, pool: Pool) -> Fleet:
        """Tend the pool's workers. A changed template holds for workers started from now on."""
        processes = self._of(pool)
        now = self._clock()
        processes.tend(now)
        return processes.fleet(now)

    async def scale(self, pool: Pool, replicas: int, leaving: Collection[str] = ()) -> None:
        """Start workers, or send home those named, and else the newest: they have the least to lose."""
        processes = self._of(pool)
        order = sorted(processes.on_duty, key=lambda worker: worker.name in leaving)
        processes.send_home(order[replicas:], self._clock())
        for _ in range(replicas - len(processes.on_duty)):
            self._hire(processes)

    async def release(self, pool: Pool) -> None:
        """Drain all; `close` waits for them."""
        if processes := self._pools.get(pool.key):
            processes.send_home(processes.on_duty, self._clock())

    def workers(self, key: PoolKey) -> tuple[WorkerStatus, ...]:
        """Every process of a pool as it is now, the draining ones last."""
        processes, now = self._pools.get(key), self._clock()
        return tuple(worker.status(now) for worker in (*processes.on_duty, *processes.leaving)) if processes else ()

    def count(self) -> int:
        """The workers of all pools that have not gone, the draining ones included."""
        return sum(len(processes.on_duty) + len(processes.leaving) for processes in self._pools.values())

    async def close(self) -> None:
        """Drain all workers of all pools and wait for them: at most the longest grace period, less after `kill`."""
        for processes in self._pools.values():
            processes.send_home(processes.on_duty, self._clock())
        while self.count():
            await asyncio.sleep(POLL)
            for processes in self._pools.values():
                processes.tend(self._clock())

    def kill(self) -> None:
        """End every worker at once; its jobs stay in Redis, unacknowledged."""
        now = self._clock()
        for processes in self._pools.values():
            processes.send_home(processes.on_duty, now)
            for worker in processes.leaving:
                worker.kill(now)

    def _of(self, pool: Pool) -> PoolProcesses:
        processes = self._pools.get(pool.key)
        if processes is None or processes.pool is not pool:
            try:
                launch = launch_of(pool, self._inherited, self._directory)
            except InvalidSpec as error:
                raise TargetUnavailable("FailedGetScale", str(error)) from error
            processes = replace(processes, pool=pool, launch=launch) if processes else PoolProcesses(pool, launch)
            self._pools[pool.key] = processes
        return processes

    def _hire(self, processes: PoolProcesses) -> None:
        name = self._free_name(processes)
        worker = WorkerProcess(
            name,
            processes.launch,
            self._logs / f"{processes.pool.key.namespace}.{name}.log",
            self._lifeline,
            partial(self._tell, processes.pool.key),
        )
        try:
            worker.start(self._clock())
        except OSError as error:
            program = processes.launch.arguments[0]
            raise TargetUnavailable("FailedUpdateScale", f"{program} cannot be started: {error.strerror}") from error
        processes.gone.discard(name)
        processes.on_duty.append(worker)

    @staticmethod
    def _free_name(processes: PoolProcesses) -> str:
        taken = {worker.name for worker in (*processes.on_duty, *processes.leaving)}
        names = (f"{processes.pool.key.name}-{number}" for number in count(1))
        return next(name for name in names if name not in taken)
