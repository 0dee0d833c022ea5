"""All benchmarks in one place: what each measures, how long it takes, and what it promises.

`make bench` runs them in this order, a benchmark's own exit status goes by its promises here, and docs/benchmarks.md
has them beside the figures. How something is measured is told by each benchmark's own module.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crewcall_operator.core.promise import LATE

Figures = Mapping[str, Any]
"""What a benchmark prints as its last line, by name; the name's end has the unit, as in `full_s`."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A figure's bounds, both included, and what the figure is in words."""

    figure: str
    words: str
    least: float = -math.inf
    most: float = math.inf

    def is_kept(self, figures: Figures) -> bool:
        """A figure that there is not keeps nothing."""
        return self.figure in figures and self.least <= figures[self.figure] <= self.most


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One of them: `make TARGET` runs `benchmarks.NAME`, which takes about `usual_s` seconds."""

    name: str
    title: str
    usual_s: float
    promises: tuple[Promise, ...]
    #: What `make bench` runs it with.
    arguments: tuple[str, ...] = ()
    #: A picture below docs/ that goes with it.
    picture: str = ""

    @property
    def target(self) -> str:
        return "soak" if self.name == "soak" else f"bench-{self.name}"

    def broken(self, figures: Figures) -> list[Promise]:
        return [promise for promise in self.promises if not promise.is_kept(figures)]


def at_most(most: float, figure: str, words: str) -> Promise:
    return Promise(figure, words, most=most)


def at_least(least: float, figure: str, words: str) -> Promise:
    return Promise(figure, words, least=least)


def exactly(value: float, figure: str, words: str) -> Promise:
    return Promise(figure, words, value, value)


BENCHMARKS = (
    Benchmark(
        "reaction",
        "1,000 jobs arrive at once in an idle pool",
        60,
        (
            at_most(1.2, "first_s", "until the first replica is asked for, the worst of five rounds"),
            at_most(1.2, "full_s", "until all 50 are asked for, the worst of five rounds"),
            exactly(50, "replicas", "replicas asked for"),
            exactly(1, "patches", "changes of replicas"),
        ),
    ),
    Benchmark(
        "drain",
        "60 scale-downs under load",
        240,
        (
            exactly(60, "scale_downs", "workers sent home"),
            exactly(0, "interrupted", "jobs cut off"),
            exactly(0, "lost", "jobs lost"),
            exactly(0, "duplicated", "jobs done twice"),
            at_most(1.0, "prefetch_return_p99_s", "until what was prefetched is free again, 99 % of workers"),
        ),
    ),
    Benchmark(
        "recovery",
        "20 workers killed while busy",
        120,
        (
            exactly(20, "kills", "workers killed"),
            exactly(0, "lost", "jobs lost"),
            at_most(5.0, "p99_s", "until what the killed had fetched is ready again, 99 % of kills"),
            at_most(5.0, "alone_s", "the same where no worker is left alive"),
        ),
    ),
    Benchmark(
        "delayed",
        "Delayed jobs while their pool sleeps at zero",
        45,
        (
            exactly(50, "jobs", "jobs begun of 50, in the pool with fewer"),
            exactly(0, "early", "jobs begun too early"),
            at_most(2.5, "late_p99_s", "from due to begun, 99 % of jobs, the worker's start included"),
        ),
    ),
    Benchmark(
        "overhead",
        "Jobs a second with the runtime, against plain Dramatiq",
        150,
        (
            at_least(0.9, "ratio", "of plain Dramatiq's rate, eight threads"),
            at_least(0.9, "one_thread_ratio", "of plain Dramatiq's rate, one thread"),
        ),
    ),
    Benchmark(
        "enqueue",
        "Jobs enqueued a second, against Dramatiq's `send`",
        45,
        (
            at_least(0.7, "single_ratio", "of the rate of `send`, one by one"),
            at_least(3.0, "batch_ratio", "of the rate of `send`, in batches of 100"),
        ),
    ),
    Benchmark(
        "fairness",
        "50 jobs behind another organisation's 5,000",
        30,
        (at_least(10.0, "times_sooner", "times sooner in turns than in one line, 95 % of the 50"),),
    ),
    Benchmark(
        "failover",
        "10 kills and 10 clean ends of the leading operator",
        200,
        (
            at_most(8.0, "killed_p99_s", "until another one scales after a kill, the worst"),
            at_most(1.0, "clean_p99_s", "until another one scales after a clean end, the worst"),
            exactly(0, "double_writes", "writes by an operator that did not lead"),
        ),
    ),
    Benchmark(
        "scale",
        "5,000 idle pools on 20 Redis servers",
        200,
        (
            at_most(20.0, "start_s", "until every pool has been looked at"),
            at_most(0.5, "tick_p99_s", "a look at all pools, 99 % of looks"),
            at_most(0.35, "cpu_cores", "cores of CPU"),
            at_most(300.0, "rss_mb", "MB of memory"),
            exactly(0, "idle_writes_per_min", "writes to the API server a minute"),
            at_most(0.15, "redis_busy", "of its time the busiest Redis works"),
            at_most(1.5, "reaction_p99_s", "until a pool among them is scaled, the worst of 20"),
        ),
    ),
    Benchmark(
        "board",
        "The board's pages with a million jobs in a queue",
        180,
        (
            at_most(150.0, "page_p95_ms", "to load a page, 95 % of loads"),
            at_most(10.0, "redis_ms_per_page", "of Redis for a page, the dearest one"),
        ),
    ),
    Benchmark(
        "quality",
        "The promise in seconds, simulated, beside other autoscalers",
        600,
        (
            exactly(0, "target_missed", "feasible cases in which the promise is missed"),
            exactly(0, "dominated_by", "cases in which another has fewer late jobs and fewer pod-hours"),
            at_most(1.1, "cost_vs_clairvoyant_median", "times the pod-hours of who knows the future, median"),
            at_most(6, "steady_flips_per_hour", "changes of direction an hour under steady load, the worst case"),
            exactly(0, "interrupted", "jobs cut off"),
            at_least(200_000, "job_events_per_second", "events of jobs simulated in a second of a core"),
        ),
        ("--record",),
        "images/benchmark-step-burst.png",
    ),
    Benchmark(
        "replay",
        "Ten minutes of a trace by real workers, against the simulator",
        720,
        (
            at_most(0.25, "mean_abs_error_replicas", "replicas apart on average"),
            at_least(1 - LATE, "start_within_target_live", "of jobs started within the promise, by real workers"),
            at_least(1 - LATE, "start_within_target_simulated", "of jobs started within the promise, simulated"),
        ),
    ),
    Benchmark(
        "soak",
        "Ten minutes of every failure at random",
        700,
        (
            exactly(0, "wrong_changes", "changes of replicas that were wrong"),
            exactly(0, "stray_writes", "writes by an operator that did not lead"),
            exactly(0, "adrift", "pools that do not come right afterwards"),
            exactly(0, "tracebacks", "tracebacks in the logs"),
            at_most(8.0, "rss_growth_mb", "MB by which the operator has grown"),
        ),
    ),
)


def benchmark(name: str) -> Benchmark:
    """Raises `KeyError` where there is none of that name."""
    return {it.name: it for it in BENCHMARKS}[name]


def bound(name: str, figure: str) -> float:
    """The most that a benchmark promises of a figure."""
    (found,) = (promise.most for promise in benchmark(name).promises if promise.figure == figure)
    return found


def exit_status(name: str, figures: Figures) -> int:
    """0 where all promises are kept; else 1, and each broken one is told on the standard error."""
    broken = benchmark(name).broken(figures)
    for promise in broken:
        print(f"broken: {promise.figure} is {figures.get(promise.figure)}; {limits(promise)}", file=sys.stderr)
    return 1 if broken else 0


def limits(promise: Promise) -> str:
    """A promise's bounds in words, such as "at most 1.2"."""
    if promise.least == promise.most:
        return f"{promise.most:,.10g}"
    return f"at least {promise.least:,.10g}" if promise.most == math.inf else f"at most {promise.most:,.10g}"
