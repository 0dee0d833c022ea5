"""A replica: a pod with its workers, what it has to lose, and whether it may go.

Pure. What its workers tell is all that is known of it: they may have gone silent, or never tell anything. Which
replicas go is `victims`' part, how many there are to reckon with `crew`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crewcall_operator.core.observation import Phase, Pod, Worker, WorkerState

#: Seconds after which an order that a worker has not heard is no longer waited for.
DEADLINE = 30.0

#: Seconds after which a worker that says nothing is taken for dead, or for one that hangs.
LAPSED = 30.0

#: So many times the usual start-up a pod may take until it counts as one without the runtime.
PATIENCE = 2.0

Stage = tuple[Phase, bool]
READY: Stage = (Phase.RUNNING, True)


@dataclass(frozen=True, slots=True)
class Replica:
    """A pod with its workers; `ordered_for` is how long its order to drain stands, None where there is none."""

    pod: Pod
    workers: tuple[Worker, ...]
    ordered_for: float | None

    @property
    def stage(self) -> Stage:
        """How far its pod has come: the lower, the sooner the cluster takes it; only among equals the mark counts."""
        return self.pod.phase, self.pod.is_ready

    @property
    def fresh(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.silent_for < LAPSED]

    @property
    def telling(self) -> Sequence[Worker]:
        """The workers whose word counts."""
        return heard_of(self.workers)

    @property
    def is_drained(self) -> bool:
        """Whether all its workers have said so since they were ordered: an earlier word may be overtaken."""
        since, fresh = self.ordered_for, self.fresh
        if since is None or not fresh:
            return False
        return all(worker.state is WorkerState.DRAINED and worker.silent_for <= since for worker in fresh)

    @property
    def is_unanswered(self) -> bool:
        """Whether it had its time to hear the order, and has not, or hangs."""
        if not self.workers or self.is_drained or self.ordered_for is None or self.ordered_for < DEADLINE:
            return False
        return not self.fresh or any(worker.state is WorkerState.RUNNING for worker in self.fresh)

    @property
    def may_go(self) -> bool:
        return not self.workers or self.is_drained or self.is_unanswered

    @property
    def loss(self) -> float:
        """Thread-seconds of running work that would be lost at most, were it killed now."""
        return sum(worker.busy * (worker.oldest_age or 0.0) for worker in self.telling)

    @property
    def busy(self) -> int:
        return sum(worker.busy for worker in self.telling)

    @property
    def prefetched(self) -> int:
        return sum(worker.prefetched for worker in self.telling)

    @property
    def is_at_work(self) -> bool:
        """Whether it runs jobs, or is between two of them: one that holds more is not idle."""
        return not self.may_go and bool(self.busy or self.prefetched)

    @property
    def load(self) -> str:
        if not self.busy:
            held = self.prefetched
            return f"about to run {held} job{'s' if held > 1 else ''}" if held else "idle"
        oldest = max(worker.oldest_age or 0.0 for worker in self.telling)
        jobs = "1 job" if self.busy == 1 else f"{self.busy} jobs, the oldest"
        return f"running {jobs} for {oldest:.0f} s"

    def is_plain(self, startup: float, now: float) -> bool:
        """Whether it has had time to show a worker, and shows none."""
        return not self.workers and had_its_time(self.pod, startup, now)

    def rank(self, startup: float, now: float) -> tuple[object, ...]:
        """The lowest goes first."""
        is_new = self.ordered_for is None
        least = (self.loss, self.busy, -self.pod.created, self.pod.name)
        return (self.is_plain(startup, now), self.stage, self.is_at_work, not self.may_go, is_new, *least)


def by_pod(workers: Iterable[Worker]) -> Mapping[str, tuple[Worker, ...]]:
    """The workers of each pod that has some."""
    crews: dict[str, tuple[Worker, ...]] = {}
    for worker in workers:
        crews[worker.pod] = (*crews.get(worker.pod, ()), worker)
    return crews


def heard_of(workers: Sequence[Worker]) -> Sequence[Worker]:
    """Those whose word counts: the living ones, and where all are silent, those that were the last: Redis was away."""
    return [worker for worker in workers if worker.silent_for < LAPSED] or workers


def had_its_time(pod: Pod, startup: float, now: float) -> bool:
    """Whether a pod has been there for long enough to show a worker: one that shows none has none that tells."""
    return pod.is_ready and now - pod.created > PATIENCE * startup


def staying(pods: Sequence[Pod], current: int) -> list[Pod]:
    """The pods without those that are about to go: marked, and above what is asked for."""
    excess = len(pods) > current
    return [pod for pod in pods if not (excess and pod.is_marked)]
