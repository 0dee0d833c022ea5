"""How well `target.queueLatency` keeps its promise, at what cost, on every shipped scenario and against every peer.

The last line is JSON; exits 1 when a promise is broken, and says in which cases. One pool with its defaults for all.
CREWCALL_TRACES, or --traces, names a folder of further traces (CSV, see `simulation.trace`); each is run with replicas
that start in 15 s and in 30 s, those longer than a day with the first only. --holdout adds what nothing was tuned on:
the scenarios made from other seeds (see `benchmarks.holdout`). --record keeps all of it for docs/autoscalers.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks import catalogue, holdout, quality_record
from crewcall_operator.core.policy import Policy, Queue, QueueLatency
from crewcall_operator.core.promise import LATE
from crewcall_operator.simulation.constant import Fixed
from crewcall_operator.simulation.contest import LONG, OURS, REACTING, Entry, Result, enter, judge
from crewcall_operator.simulation.outcome import Outcome
from crewcall_operator.simulation.peers import PEERS
from crewcall_operator.simulation.report import as_json, table
from crewcall_operator.simulation.scenarios import Scenario, scenarios
from crewcall_operator.simulation.setting import Setting
from crewcall_operator.simulation.trace import read_trace
from crewcall_operator.simulation.world import simulate

PROMISE_S, MOST = 30.0, 50
POLICY = Policy((Queue("jobs"),), max_replicas=MOST, target=QueueLatency(PROMISE_S))
STARTUPS_S = (15.0, 30.0)
AUTOSCALERS = (OURS, *PEERS, REACTING)
PROCESSES = 2


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    folder = os.environ.get("CREWCALL_TRACES")
    parser.add_argument("--traces", type=Path, default=Path(folder) if folder else None, metavar="FOLDER")
    parser.add_argument("--only", default="", metavar="WORD", help="cases whose name holds it")
    parser.add_argument("--record", action="store_true", help="keep what docs/autoscalers.md shows")
    parser.add_argument(
        "--holdout", action="store_true", help="also the scenarios made from seeds that nobody tuned on"
    )
    options = parser.parse_args(arguments)
    if options.record and options.only:
        parser.error("--record keeps all cases; leave --only out")
    began = time.monotonic()
    cases = [case for case in all_cases(options.traces) if options.only in case.name]
    if not cases:
        parser.error(f"no case has {options.only!r} in its name")
    results = contest(cases)
    for result in results:
        print(table(result) + "\n")
    held = holdout.run(PROMISE_S, MOST, PROCESSES) if options.holdout or options.record else []
    if held:
        print(holdout.table(held) + "\n")
    if options.record:
        grid = holdout.grid(MOST, PROCESSES)
        quality_record.write(quality_record.Record([as_json(result) for result in results], held, grid))
        quality_record.draw_pictures(cases, POLICY, PROMISE_S)
    for case, result in zip(cases, results, strict=True):
        for miss in _misses(case, result):
            print(f"missed: {miss}")
    figures = _figures(cases, results)
    print(f"{len(results)} cases in {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(json.dumps(figures))
    return catalogue.exit_status("quality", figures)


def all_cases(folder: Path | None) -> list[Scenario]:
    """The scenarios that ship, and the traces in `folder`."""
    return [*scenarios(), *_traces(folder)]


def events_per_second() -> int:
    """Arrivals, starts and ends of jobs that one core simulates in a second of its own time, the best of three."""
    case = max(scenarios(), key=lambda it: len(it.trace.arrivals))
    best = 0.0
    for _ in range(3):
        began = time.process_time()
        events = simulate(case.trace, case.setting, Fixed(10)).events
        best = max(best, events / (time.process_time() - began))
    return int(best)


def contest(cases: Sequence[Scenario]) -> list[Result]:
    """Run each case under every autoscaler."""
    # Each autoscaler by itself, the longest traces first: or one process ends up with them while the other one is idle.
    order = sorted(range(len(cases)), key=lambda at: -cases[at].trace.span)
    with ProcessPoolExecutor(max_workers=PROCESSES) as processes:
        running = {(at, name): processes.submit(_enter, cases[at], name) for at in order for name in AUTOSCALERS}
        return [
            judge(case.trace, case.setting, PROMISE_S, {name: running[at, name].result() for name in AUTOSCALERS})
            for at, case in enumerate(cases)
        ]


def _enter(case: Scenario, name: str) -> Entry:
    # Of what happened only the score is told: the rest is long, and has to come from another process.
    return replace(enter(name, case.trace, case.setting, POLICY, PROMISE_S), outcome=Outcome((), 0.0, (), 0.0, 0, 0))


def _misses(case: Scenario, result: Result) -> Iterator[str]:
    ours = result.ours
    if result.is_feasible and ours.late > LATE:
        yield f"{case.name}: {ours.late:.1%} of jobs late; aim {LATE:.0%}"
    for name in result.dominating():
        yield f"{case.name}: {name} has fewer late jobs and fewer pod-hours"
    if case.is_steady and ours.flips_per_hour > (most := catalogue.bound("quality", "steady_flips_per_hour")):
        yield f"{case.name}: {ours.flips_per_hour} changes of direction in an hour; aim {most:g}"
    if ours.interrupted:
        yield f"{case.name}: {ours.interrupted} jobs cut off; aim 0"


def _figures(cases: Sequence[Scenario], results: Sequence[Result]) -> dict[str, float]:
    feasible = [result for result in results if result.is_feasible]
    steady = [result for case, result in zip(cases, results, strict=True) if case.is_steady]
    return {
        "cases": len(results),
        "feasible": len(feasible),
        "target_missed": sum(result.ours.late > LATE for result in feasible),
        "dominated_by": sum(bool(result.dominating()) for result in results),
        "cost_vs_clairvoyant_median": round(
            median(result.ours.pod_hours / result.clairvoyant for result in results), 4
        ),
        "steady_flips_per_hour": max((result.ours.flips_per_hour for result in steady), default=0),
        "interrupted": sum(result.ours.interrupted for result in results),
        "job_events_per_second": events_per_second(),
    }


def _traces(folder: Path | None) -> Iterator[Scenario]:
    for file in sorted(folder.glob("*.csv")) if folder else ():
        trace = read_trace(file)
        for startup in STARTUPS_S if trace.span <= LONG else STARTUPS_S[:1]:
            yield Scenario(replace(trace, name=f"{trace.name}, start in {startup:g} s"), Setting(startup=startup))


if __name__ == "__main__":
    sys.exit(main())
