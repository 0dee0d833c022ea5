"""The contest: one trace in one setting under several autoscalers, and what each of them comes to.

All have the pool's minReplicas and maxReplicas, and nothing else of what it says.

A promise is feasible where a pool that calls all its replicas at the first job, and keeps them for two minutes after
the last one, keeps it: whoever only reacts cannot do better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crewcall_operator.core.policy import Policy
from crewcall_operator.core.promise import LATE
from crewcall_operator.simulation.bounds import total_work, zero_wait
from crewcall_operator.simulation.constant import AllAtOnce
from crewcall_operator.simulation.crewcall import Crewcall
from crewcall_operator.simulation.outcome import Outcome
from crewcall_operator.simulation.peers import PEERS, Pool
from crewcall_operator.simulation.ports import Autoscaler
from crewcall_operator.simulation.score import Score, score
from crewcall_operator.simulation.setting import Setting
from crewcall_operator.simulation.trace import Trace
from crewcall_operator.simulation.world import simulate

#: What Crewcall is called among the others.
OURS = "crewcall"

#: The pool that calls all its replicas at once.
REACTING = "all-at-once"

#: Traces longer than a day are looked at by Crewcall every ten seconds instead of every second: fewer looks.
LONG = 86_400.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One autoscaler's outcome and score."""

    outcome: Outcome
    score: Score


@dataclass(frozen=True, slots=True)
class Result:
    """`entries` by name, Crewcall's first. `clairvoyant` and `work` are the bounds, in pod-hours."""

    trace: Trace
    setting: Setting
    promise: float
    is_feasible: bool
    clairvoyant: float
    work: float
    entries: Mapping[str, Entry]

    @property
    def ours(self) -> Score:
        return self.entries[OURS].score

    def dominating(self) -> list[str]:
        """Those with both fewer late jobs and fewer pod-hours than Crewcall."""
        ours = self.ours
        return [
            name
            for name, entry in self.entries.items()
            if entry.score.late < ours.late and entry.score.pod_hours < ours.pod_hours
        ]


def hold(
    trace: Trace, setting: Setting, policy: Policy, promise: float, peers: Sequence[str] = (), grace: float = 600.0
) -> Result:
    """Run them all. `peers` are names in `PEERS`; `promise` is in seconds; `grace` is what tuned peers are given."""
    entries = {name: enter(name, trace, setting, policy, promise, grace) for name in (OURS, *peers, REACTING)}
    return judge(trace, setting, promise, entries)


def enter(name: str, trace: Trace, setting: Setting, policy: Policy, promise: float, grace: float = 600.0) -> Entry:
    """Run one of them: `OURS`, `REACTING` or a name in `PEERS`."""
    interval = 1.0 if trace.end <= LONG else 10.0
    autoscaler: Autoscaler
    if name == OURS:
        autoscaler = Crewcall(policy, setting.threads, interval)
    elif name == REACTING:
        autoscaler = AllAtOnce(policy.max_replicas, least=policy.min_replicas, interval=interval)
    else:
        least, most = policy.min_replicas, policy.max_replicas
        autoscaler = PEERS[name](Pool(promise, trace.mean_service, setting.threads, most, least, grace))
    outcome = simulate(trace, setting, autoscaler)
    return Entry(outcome, score(outcome, promise))


def judge(trace: Trace, setting: Setting, promise: float, entries: Mapping[str, Entry]) -> Result:
    """What the entries of one trace come to; that of `REACTING` tells whether the promise is feasible."""
    return Result(
        trace=trace,
        setting=setting,
        promise=promise,
        is_feasible=entries[REACTING].score.late <= LATE,
        clairvoyant=zero_wait(trace, setting),
        work=total_work(trace, setting),
        entries={name: entry for name, entry in entries.items() if name != REACTING},
    )
