"""What nothing was tuned on: the scenarios made from other seeds, and other promises and start-up times.

The parameters in `core` were chosen while looking at the cases that `benchmarks.quality` scores. Whether they hold
elsewhere is seen here, under Crewcall alone; whether a promise can be kept at all, under all replicas at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from statistics import median

from crewcall_operator.core.policy import Policy, Queue, QueueLatency
from crewcall_operator.core.promise import LATE
from crewcall_operator.simulation.contest import OURS, REACTING, enter, judge
from crewcall_operator.simulation.scenarios import SCENARIOS

#: Seconds of each that are run.
HORIZON = 3600.0

#: None of them is `scenarios.SEED`.
SEEDS = (101, 102, 103, 104, 105)

#: Seconds: the promises and start-ups of the grid, each with each.
PROMISES, STARTUPS = (1.0, 5.0, 10.0, 30.0, 60.0), (2.0, 15.0, 60.0)
IN_GRID = ("steady", "step-burst", "diurnal")


@dataclass(frozen=True, slots=True)
class Held:
    """One run: `late` from 0 to 1, `cost` by the clairvoyant bound."""

    scenario: str
    seed: int
    promise: float
    startup: float
    is_feasible: bool
    late: float
    cost: float
    interrupted: int

    @property
    def is_met(self) -> bool:
        return self.late <= LATE


def run(promise: float, most: int, processes: int) -> list[Held]:
    """Every scenario from every seed."""
    return _all([(name, seed, promise, None, most) for name in SCENARIOS for seed in SEEDS], processes)


def grid(most: int, processes: int) -> list[Held]:
    """Some scenarios from one seed, under other promises and with replicas that start sooner or later."""
    return _all([(name, SEEDS[0], T, L, most) for name in IN_GRID for T in PROMISES for L in STARTUPS], processes)


def table(held: Sequence[Held]) -> str:
    """A line for each scenario."""
    lines = ["hold-out: seeds " + ", ".join(map(str, SEEDS)), ""]
    for name in dict.fromkeys(it.scenario for it in held):
        of = [it for it in held if it.scenario == name]
        feasible = [it for it in of if it.is_feasible]
        worst = max((it.late for it in feasible), default=0.0)
        lines.append(
            f"  {name:14} feasible {len(feasible)} of {len(of)}, met {sum(it.is_met for it in feasible)}, "
            f"worst {worst:5.1%} late, cost {median(it.cost for it in of):.2f}x"
        )
    feasible = [it for it in held if it.is_feasible]
    return "\n".join([*lines, "", f"  met {sum(it.is_met for it in feasible)} of {len(feasible)} feasible cases"])


def _all(cases: Sequence[tuple[str, int, float, float | None, int]], processes: int) -> list[Held]:
    with ProcessPoolExecutor(max_workers=processes) as pool:
        return [running.result() for running in [pool.submit(_one, *case) for case in cases]]


def _one(name: str, seed: int, promise: float, startup: float | None, most: int) -> Held:
    case = SCENARIOS[name](seed)
    trace = case.trace.until(HORIZON)
    setting = case.setting if startup is None else replace(case.setting, startup=startup)
    policy = Policy((Queue("jobs"),), max_replicas=most, target=QueueLatency(promise))
    entries = {it: enter(it, trace, setting, policy, promise) for it in (OURS, REACTING)}
    result = judge(trace, setting, promise, entries)
    ours = result.ours
    cost = ours.pod_hours / result.clairvoyant
    return Held(name, seed, promise, setting.startup, result.is_feasible, ours.late, cost, ours.interrupted)
