"""Victims: which replicas go when there are too many, so that nothing that runs is cut off.

Pure. A replica is removed once its workers hold no job any more: first it is ordered to drain, then it finishes what
it runs, then it goes. Those with the least to lose are ordered first: what is not ready, then what is idle, then what
would lose the least running time, which is what the youngest jobs will most likely be done with soonest. Among equals
one that was ordered stays so, for each change of mind costs a return of prefetched messages; it gives way to one that
may go at once, and one that still works to one that is idle. As many orders are withdrawn as load needs again.

A ReplicaSet takes what is not ready first, whatever is marked (kubernetes/pkg/controller/controller_utils.go,
`ActivePodsWithRanks`). So nobody goes before one that is less ready and still has something to lose.

One that a hand has asked to drain goes beside all that, whatever the load: another one is asked for first, where there
is room below the most that there may be, and once that is ready and the one that was asked is drained, it goes.

Replicas without the runtime tell nothing and hear no order. Where there are no others they are scaled the plain way:
the cluster chooses. Beside others they are the last ones to be chosen, for what they run is not known.
Carrying out a plan belongs to `foreman`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from crewcall_operator.core.observation import Phase, Pod, Worker, WorkerState

#: Seconds after which an order that a worker has not heard is no longer waited for.
DEADLINE = 30.0

#: Seconds after which a worker that says nothing is taken for dead, or for one that hangs.
LAPSED = 30.0

#: So many times the usual start-up a pod may take until it counts as one without the runtime.
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Order:
    """A pod that is to drain, and what it has to lose, in words."""

    pod: str
    load: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done now: give and withdraw orders, then ask for `replicas`, less exactly `remove`.

    `draining` pods have been ordered and are not done yet, the new orders included. `unanswered` pods are among
    `remove` though they never said that they drained. `plain` are those without the runtime. `withdraw` holds the
    orders of pods that are gone, too; `kept` are those of them that go on working.
    """

    replicas: int
    remove: tuple[str, ...] = ()
    order: tuple[Order, ...] = ()
    withdraw: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    draining: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()


def plan(
    pods: Sequence[Pod],
    workers: Iterable[Worker],
    standing: Mapping[str, float],
    current: int,
    wanted: int,
    startup: float,
    now: float,
    leaving: Set[str] = frozenset(),
    most: int | None = None,
) -> Plan:
    """How to come from `current` replicas to `wanted` beside those in `leaving`, which a hand has asked to drain.

    `standing` are the orders, wishes of hands included, with for how long they stand. Until who leaves is gone there
    may be more than are wanted, but no more than `most`; None: any number.
    """
    crews: dict[str, list[Worker]] = defaultdict(list)
    for worker in workers:
        crews[worker.pod].append(worker)
    there = staying(pods, current)
    replicas = [_Replica(pod, tuple(crews[pod.name]), standing.get(pod.name)) for pod in there]
    going_by_hand = [it for it in replicas if it.pod.name in leaving]
    others = [it for it in replicas if it.pod.name not in leaving]
    plain = tuple(it.pod.name for it in replicas if it.is_plain(startup, now))
    names = {pod.name for pod in pods}
    gone = tuple(pod for pod in standing if pod not in names and pod not in crews)

    room = wanted + len(going_by_hand)
    room = room if most is None else max(wanted, min(room, most))
    surplus = max(0, current - len(going_by_hand) - wanted)
    # Those that are still to be made go first: they cost nobody anything.
    unmade = min(surplus, max(0, current - len(pods)))
    victims = sorted(others, key=lambda it: it.rank(startup, now))[: surplus - unmade]
    chosen = {it.pod.name for it in victims}
    kept = tuple(it.pod.name for it in others if it.ordered_for is not None and it.pod.name not in chosen)
    if not any(it.workers for it in replicas):
        return Plan(wanted, withdraw=(*kept, *gone), kept=kept, plain=plain)
    # Marking others would take the marks off those that are about to go.
    going = []
    if room <= current and len(there) == len(pods):
        stay = [it for it in others if it.pod.name not in chosen]
        going = [*_going(victims, replicas), *_replaced(going_by_hand, stay)]
    return Plan(
        replicas=room if room > current else current - unmade - len(going),
        remove=tuple(it.pod.name for it in going),
        order=tuple(Order(it.pod.name, it.load) for it in victims if it.ordered_for is None and not it.may_go),
        withdraw=(*kept, *gone),
        kept=kept,
        draining=tuple(it.pod.name for it in (*victims, *going_by_hand) if not it.may_go),
        unanswered=tuple(it.pod.name for it in going if it.is_unanswered),
        plain=plain,
    )


def staying(pods: Sequence[Pod], current: int) -> list[Pod]:
    """The pods without those that are about to go: marked, and above what is asked for."""
    excess = len(pods) > current
    return [pod for pod in pods if not (excess and pod.is_marked)]


def _going(victims: Sequence[_Replica], replicas: Sequence[_Replica]) -> list[_Replica]:
    """The victims that may go, less those in whose place the cluster would take one that may not."""
    first_at_stake = min((it.stage for it in replicas if not it.may_go), default=_READY)
    return [it for it in victims if it.may_go and it.stage <= first_at_stake]


def _replaced(leaving: Sequence[_Replica], stay: Sequence[_Replica]) -> list[_Replica]:
    """Of those that were asked by hand the ones that may go: where somebody who stays is less ready, the cluster would
    take that one in their place."""
    least = min((it.stage for it in stay), default=_READY)
    return [it for it in leaving if it.may_go and it.stage <= least]


_Stage = tuple[Phase, bool]
_READY: _Stage = (Phase.RUNNING, True)


@dataclass(frozen=True, slots=True)
class _Replica:
    """A pod with its workers; `ordered_for` is how long its order to drain stands, None where there is none."""

    pod: Pod
    workers: tuple[Worker, ...]
    ordered_for: float | None

    @property
    def stage(self) -> _Stage:
        """How far its pod has come: the lower, the sooner the cluster takes it; only among equals the mark counts."""
        return self.pod.phase, self.pod.is_ready

    @property
    def fresh(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.silent_for < LAPSED]

    @property
    def telling(self) -> Sequence[Worker]:
        """The workers whose word counts: the living ones, and where there is none, those that were the last."""
        return self.fresh or self.workers

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
        return not self.workers and self.pod.is_ready and now - self.pod.created > PATIENCE * startup

    def rank(self, startup: float, now: float) -> tuple[object, ...]:
        """The lowest goes first."""
        is_new = self.ordered_for is None
        least = (self.loss, self.busy, -self.pod.created, self.pod.name)
        return (self.is_plain(startup, now), self.stage, self.is_at_work, not self.may_go, is_new, *least)
