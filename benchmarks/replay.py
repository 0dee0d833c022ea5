"""The same decision in the world and in the simulator: a trace played in real time, and how far the two are apart.

The first ten minutes of a trace (azure_code_1h.csv of the folder that CREWCALL_TRACES or --traces names; without one a
scenario that ships) are sent job by job to a real Redis. `crewcall local` scales real worker processes for them, whose
jobs sleep as long as the trace says. Then the simulator is given the same jobs and the measured start-up time.
Where the trace takes more than `MOST` processes, only every k-th job is played (`every` in the figures).

Compared are the replicas there are, second by second. A quarter of a replica on average is for what the simulator
leaves out: workers tell what they do once a second, jobs come late by a scheduler's whim, processes start as fast as
the machine has time, and a decision that is taken a second later holds for the whole stabilization window of a minute.
Prints one JSON line; exits 1 when that is exceeded, or when late jobs are more than the promise admits in either world.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import dramatiq
import redis
import yaml
from rich.console import Console
from tests.support.waiting import until

from benchmarks import catalogue
from benchmarks.replay_jobs import ACTOR, BEGUN_AT, QUEUE
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.core.policy import Policy, Queue, QueueLatency
from crewcall_operator.local.history import History
from crewcall_operator.local.run import Options, Running, run
from crewcall_operator.simulation.crewcall import Crewcall
from crewcall_operator.simulation.outcome import Outcome
from crewcall_operator.simulation.scenarios import SEED, startup_shift
from crewcall_operator.simulation.score import score
from crewcall_operator.simulation.setting import Setting
from crewcall_operator.simulation.trace import Trace, read_trace
from crewcall_operator.simulation.world import simulate
from crewcall_worker.broker import CrewcallBroker

TRACE = "azure_code_1h.csv"
MINUTES = 10.0
PROMISE_S, THREADS, MOST = 10.0, 8, 8
COOLDOWN_S = 30.0
INTERVAL_S = 0.5
#: What a process takes to start before that is measured; only for the choice of `every`.
USUAL_STARTUP_S = 2.0
#: Seconds after the last arrival at which jobs that were not begun are given up.
PATIENCE_S = 60.0
POOL = PoolKey("default", QUEUE)

Steps = Sequence[tuple[float, int]]
"""(from when on, replicas), by time in seconds since the first arrival was due."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of the trace in the world: waits in seconds, none for a job that never began."""

    steps: Steps
    waits: Sequence[float]
    startup: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    folder = os.environ.get("CREWCALL_TRACES")
    parser.add_argument("--traces", type=Path, default=Path(folder) if folder else None, metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    options = parser.parse_args(arguments)
    trace, every = thinned(_trace(options.traces).until(60 * options.minutes))
    print(f"{trace.name}: {len(trace.arrivals)} jobs, every {every}. of the trace", file=sys.stderr)
    played = play(trace)
    simulated = simulate(trace, _setting(played.startup), _crewcall(MOST))
    figures = compared(trace, played, simulated)
    print(json.dumps({"minutes": options.minutes, "trace": trace.name, "every": every, **figures}))
    return catalogue.exit_status("replay", figures)


def thinned(trace: Trace) -> tuple[Trace, int]:
    """Every k-th job, where k is the least with which the pool would never want more than `MOST` replicas."""
    for every in range(1, len(trace.arrivals)):
        part = replace(trace, arrivals=trace.arrivals[::every], services=trace.services[::every])
        outcome = simulate(part, _setting(USUAL_STARTUP_S), _crewcall(10 * MOST))
        if max(change.asked for change in outcome.changes) <= MOST:
            return part, every
    raise SystemExit(f"{trace.name}: a single job takes more than {MOST} replicas; play another trace.")


def play(trace: Trace) -> Played:
    """Send the jobs when they are due, and see how many workers there are for them."""
    found: list[Played] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pool.yaml"
        file.write_text(yaml.safe_dump(_pool()))

        async def beside(running: Running) -> None:
            sent = await _sent(trace, running.url)
            found.append(await _measured(trace, sent, running))

        asyncio.run(run(Options((file,), interval=INTERVAL_S), Console(stderr=True), beside=beside))
    if not found:
        raise SystemExit("Interrupted before there was a result.")
    return found[0]


def compared(trace: Trace, played: Played, simulated: Outcome) -> dict[str, float]:
    """The figures of both worlds, and how far they are apart."""
    steps = [(change.at, change.alive) for change in simulated.changes]
    grid = range(int(trace.span))
    live, same = ([_at(of, second) for second in grid] for of in (played.steps, steps))
    return {
        "jobs": len(trace.arrivals),
        "startup_s": round(played.startup, 2),
        "replicas_mean_live": round(sum(live) / len(live), 3),
        "replicas_mean_simulated": round(sum(same) / len(same), 3),
        "replicas_peak_live": max(live),
        "replicas_peak_simulated": max(same),
        "mean_abs_error_replicas": round(sum(abs(a - b) for a, b in zip(live, same, strict=True)) / len(live), 3),
        "start_within_target_live": round(sum(wait <= PROMISE_S for wait in played.waits) / len(played.waits), 4),
        "start_within_target_simulated": round(1.0 - score(simulated, PROMISE_S).late, 4),
    }


async def _sent(trace: Trace, url: str) -> list[float]:
    """Send each job when it is due; when that was, Unix time in seconds. The first is due in a second."""
    broker = CrewcallBroker(url=url)
    sent = []
    began = time.time() + 1.0
    try:
        for job, (at, service) in enumerate(zip(trace.arrivals, trace.services, strict=True)):
            await asyncio.sleep(max(0.0, began + at - time.time()))
            message: dramatiq.Message[None] = dramatiq.Message(QUEUE, ACTOR, (job, service), {}, {})
            await asyncio.to_thread(broker.enqueue, message)
            sent.append(time.time())
    finally:
        broker.close()
    return sent


async def _measured(trace: Trace, sent: Sequence[float], running: Running) -> Played:
    with redis.Redis.from_url(running.url, decode_responses=True) as client:
        with suppress(AssertionError):  # then there are fewer, which the figures tell
            await until(lambda: client.hlen(BEGUN_AT) == len(sent), "all jobs to be begun", PATIENCE_S)
        begun: dict[str, str] = client.hgetall(BEGUN_AT)
    waits = [float(begun.get(str(job), "inf")) - at for job, at in enumerate(sent)]
    return Played(_steps(running.history, sent[0] - trace.arrivals[0]), waits, _startup(running.history))


def _steps(history: History, began: float) -> Steps:
    """The replicas that there were after each look."""
    offset = time.time() - time.monotonic() - began
    steps = []
    for report in history.reports[POOL]:
        if report.fleet is not None:
            current = report.fleet.current
            steps.append((report.at + offset, report.replicas if report.applied and report.replicas else current))
    return steps


def _startup(history: History) -> float:
    """Seconds that a worker took to its first word, as the engine has learned it."""
    known = [report.estimate.startup for report in history.reports[POOL] if report.estimate is not None]
    return known[-1] if known else USUAL_STARTUP_S


def _at(steps: Steps, second: float) -> int:
    place = bisect_right(steps, second, key=lambda step: step[0])
    return steps[place - 1][1] if place else 0


def _trace(folder: Path | None) -> Trace:
    if folder is not None and (folder / TRACE).exists():
        return read_trace(folder / TRACE)
    return startup_shift(SEED).trace


def _setting(startup: float) -> Setting:
    return Setting(threads=THREADS, prefetch=THREADS, startup=startup)


def _crewcall(most: int) -> Crewcall:
    policy = Policy((Queue(QUEUE),), max_replicas=most, target=QueueLatency(PROMISE_S), cooldown=COOLDOWN_S)
    return Crewcall(policy, THREADS, interval=INTERVAL_S)


def _pool() -> dict[str, object]:
    container = {"name": "worker", "image": "worker", "command": ["crewcall-worker", "run", "benchmarks.replay_jobs"]}
    return {
        "apiVersion": "crewcall.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": POOL.name},
        "spec": {
            "redis": {"url": "redis://redis:6379/0"},
            "queues": [{"name": QUEUE}],
            "maxReplicas": MOST,
            "target": {"queueLatency": f"{PROMISE_S:g}s"},
            "concurrency": THREADS,
            "cooldown": f"{COOLDOWN_S:g}s",
            "template": {"spec": {"containers": [container]}},
        },
    }


if __name__ == "__main__":
    sys.exit(main())
