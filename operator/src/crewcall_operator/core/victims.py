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
What a replica has to lose is `replica`'s part; carrying out a plan is `foreman`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from crewcall_operator.core.observation import Pod, Worker
from crewcall_operator.core.replica import READY, Replica, by_pod, staying


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
    crews = by_pod(workers)
    there = staying(pods, current)
    replicas = [Replica(pod, crews.get(pod.name, ()), standing.get(pod.name)) for pod in there]
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


def _going(victims: Sequence[Replica], replicas: Sequence[Replica]) -> list[Replica]:
    """The victims that may go, less those in whose place the cluster would take one that may not."""
    first_at_stake = min((it.stage for it in replicas if not it.may_go), default=READY)
    return [it for it in victims if it.may_go and it.stage <= first_at_stake]


def _replaced(leaving: Sequence[Replica], stay: Sequence[Replica]) -> list[Replica]:
    """Of those that were asked by hand the ones that may go: where somebody who stays is less ready, the cluster would
    take that one in their place."""
    least = min((it.stage for it in stay), default=READY)
    return [it for it in leaving if it.may_go and it.stage <= least]
