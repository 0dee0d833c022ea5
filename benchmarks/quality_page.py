"""docs/autoscalers.md from what `benchmarks.quality --record` kept: `make bench` and `make benchmarks-doc` write it.

What is said of a peer follows from the scores: nobody has to remember to be fair.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from benchmarks import catalogue, holdout
from benchmarks.quality import MOST, PROMISE_S
from benchmarks.quality_record import DRAWN, Case, Record, picture_of
from crewcall_operator.core.promise import LATE
from crewcall_operator.simulation.contest import OURS

#: Where the traces come from, and how their service times were set, by name.
SOURCES = {
    "azure_code_1h": "Azure/AzurePublicDataset, LLM inference trace 2023, code (CC-BY 4.0; Splitwise, ISCA '24). "
    "Service: 0.2 s + 0.3 ms a context token + 30 ms a generated token.",
    "azure_conv_1h": "the same, conversation.",
    "mooncake_1h": "kvcache-ai/Mooncake, conversation trace, FAST '25 (Apache-2.0). "
    "Service: 0.2 s + 0.075 ms by input length + 30 ms by output length.",
    "elb_14d": "numenta/NAB, realAWSCloudwatch elb_request_count_8c0756 (MIT). "
    "Counts of five minutes spread evenly; service lognormal, mean 2 s, sigma 1.",
}

Score = dict[str, Any]


def render(record: Record) -> str:
    """The whole page."""
    cases = record.cases
    paragraphs = [
        *_head(cases),
        *_fairly(cases),
        *_pictures(cases),
        *_held_out(record.held),
        *_limits(record.grid),
        *_tables(cases),
        *_sources(cases),
    ]
    return "\n\n".join(it if it.startswith(("#", "|", "-", "!")) else _wrapped(it) for it in paragraphs) + "\n"


def _pictures(cases: Sequence[Case]) -> Iterator[str]:
    names = {case["trace"] for case in cases}
    for name in DRAWN:
        if name in names:
            yield f"![{name}: waits and replicas of Crewcall and others over time](images/{picture_of(name)})"


def _head(cases: Sequence[Case]) -> Iterator[str]:
    feasible = [case for case in cases if case["feasible"]]
    met = [case for case in feasible if _ours(case)["late"] <= LATE]
    cost = median(_ours(case)["pod_hours"] / case["clairvoyant_pod_hours"] for case in cases)
    most = catalogue.bound("quality", "cost_vs_clairvoyant_median")
    dominated = sum(bool(case["dominated_by"]) for case in cases)
    yield "# The promise in seconds: what it costs, and the others"
    yield (
        "Every scenario that ships, and some traces, under Crewcall and under other autoscalers: the scores of the "
        "last `bench-quality` of [the benchmarks](benchmarks.md). All is simulated, so the machine decides how long "
        "it takes and nothing else. [What if](simulate.md) tells what is modelled and what is not."
    )
    yield (
        f"One pool for all cases: `queueLatency: {PROMISE_S:g}s`, at most {MOST} replicas of 4 threads, all else by "
        f"default. Of {len(cases)} cases {len(feasible)} are feasible, which means that a pool keeps the promise "
        f"that calls all its replicas at the first job. Crewcall keeps it in {len(met)} of them, at a median of "
        f"{cost:.2f} times the pod-hours of a schedule that knows what comes and lets no job wait (at most {most:g}). "
        f"In {dominated} cases another autoscaler has both fewer late jobs and fewer pod-hours."
    )
    yield (
        "`keda`, `keda-list`, `hpa-behavior` and the targets of `wpa` and `aws` are tuned: they are told the "
        "promise and the mean service time, which Crewcall has to find out."
    )


def _fairly(cases: Sequence[Case]) -> Iterator[str]:
    feasible = [case for case in cases if case["feasible"]]
    yield "## Where another one is better"
    yield "Others that keep the promise too, with fewer pod-hours than Crewcall:"
    yield (
        "\n".join(
            f"- {case['trace']}: `{name}` with {of['pod_hours']:.2f} instead of {_ours(case)['pod_hours']:.2f} "
            f"pod-hours; {of['late']:.1%} of jobs late instead of {_ours(case)['late']:.1%}"
            + (f", {of['interrupted']} cut off." if of["interrupted"] else ".")
            for case in feasible
            for name, of in _peers(case)
            if of["late"] <= LATE and of["pod_hours"] < _ours(case)["pod_hours"]
        )
        or "- none."
    )
    sooner = [case for case in feasible if any(of["late"] < _ours(case)["late"] for _, of in _peers(case))]
    quieter = [case for case in feasible if any(_is_quieter(of, case) for _, of in _peers(case))]
    yield (
        f"In {len(sooner)} cases somebody has fewer late jobs than Crewcall, for more pod-hours: up to {LATE:.0%} "
        f"may be late, and Crewcall pays for no less. In {len(quieter)} somebody keeps the promise with fewer "
        "changes of direction, such as those that go down after ten minutes only, or never."
    )


def _held_out(held: Sequence[holdout.Held]) -> Iterator[str]:
    feasible = [it for it in held if it.is_feasible]
    yield "## What nothing was tuned on"
    yield (
        "The parameters were chosen while looking at the cases below, so these alone prove little. The same "
        f"scenarios made from other seeds ({', '.join(map(str, holdout.SEEDS))}), {holdout.HORIZON / 3600:g} h of "
        f"each, under the same pool: {sum(it.is_met for it in feasible)} of {len(feasible)} feasible cases are met, "
        f"and {sum(it.interrupted for it in held)} jobs were cut off. They are of the same kinds all the same: for "
        "other kinds of load there is `crewcall simulate --trace`."
    )
    rows = []
    for name in dict.fromkeys(it.scenario for it in held):
        of = [it for it in held if it.scenario == name]
        possible = [it for it in of if it.is_feasible]
        worst = f"{max(it.late for it in possible):.1%}" if possible else "-"
        met, cost = sum(it.is_met for it in possible), median(it.cost for it in of)
        rows.append((name, f"{len(possible)} of {len(of)}", f"{met}", worst, f"{cost:.2f}x"))
    yield _table(("Scenario", "feasible", "met", "worst share late", "median cost vs clairvoyant"), rows)


def _limits(grid: Sequence[holdout.Held]) -> Iterator[str]:
    missed = sum(it.is_feasible and not it.is_met for it in grid)
    yield "## Where the promise is missed"
    yield (
        f"Other promises, and replicas that take shorter or longer to start (seed {holdout.SEEDS[0]}): the share of "
        f"late jobs; bold where it is more than {LATE:.0%}. {missed} of {sum(it.is_feasible for it in grid)} "
        "feasible ones are missed. A promise much shorter than a start cannot be kept by calling replicas when they "
        "are needed: how large bursts are is learned from those of the last half hour, and the first of its kind is "
        "met unprepared. Promise no less than a start takes, or set `minReplicas`. Within one second hardly "
        "anything may wait at all, and looks are a second apart."
    )
    promises = sorted({it.promise for it in grid})
    rows = [
        (
            name,
            f"{startup:g} s",
            *(
                f"{it.late:.1%}" if it.is_met else f"**{it.late:.1%}**" + ("" if it.is_feasible else " (not feasible)")
                for it in sorted(grid, key=lambda it: it.promise)
                if (it.scenario, it.startup) == (name, startup)
            ),
        )
        for name, startup in dict.fromkeys((it.scenario, it.startup) for it in grid)
    ]
    yield _table(("Scenario", "start", *(f"within {promise:g} s" for promise in promises)), rows)


def _tables(cases: Sequence[Case]) -> Iterator[str]:
    yield "## All cases"
    yield (
        "The share of jobs that started in time, pod-hours in all, and jobs cut off because their replica had to "
        "go. The bounds are what the work alone costs, and what the clairvoyant schedule does."
    )
    for case in cases:
        yield f"### {case['trace']}"
        yield (
            f"{case['jobs']:,} jobs of {case['service_s']:g} s, replicas start in {case['startup_s']:g} s. Work alone "
            f"{case['work_pod_hours']:.2f} pod-hours, clairvoyant {case['clairvoyant_pod_hours']:.2f}."
            + ("" if case["feasible"] else " Not feasible: nobody who only reacts can keep the promise.")
        )
        rows = [
            (
                name,
                f"{1 - of['late']:.1%}",
                f"{of['pod_hours']:.2f}",
                f"{of['pod_hours'] / case['clairvoyant_pod_hours']:.2f}x",
                "never" if of["p95"] is None else f"{of['p95']:.1f} s",
                f"{of['flips_per_hour']}",
                f"{of['interrupted']}",
            )
            for name, of in case["autoscalers"].items()
        ]
        yield _table(("", "in time", "pod-hours", "vs clairvoyant", "p95", "flips an hour", "cut off"), rows)


def _sources(cases: Sequence[Case]) -> Iterator[str]:
    names = {case["trace"].partition(",")[0] for case in cases}
    yield "## Where the traces are from"
    made_by = "operator/src/crewcall_operator/simulation/scenarios.py"
    yield f"The scenarios are made from a seed by `{made_by}` and come with the package. The others:"
    yield "\n".join(f"- `{name}`: {SOURCES[name]}" for name in SOURCES if name in names) or "- none in this run."


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(paragraph, 125, break_long_words=False, break_on_hyphens=False)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _ours(case: Case) -> Score:
    found: Score = case["autoscalers"][OURS]
    return found


def _peers(case: Case) -> list[tuple[str, Score]]:
    return [(name, of) for name, of in case["autoscalers"].items() if name != OURS]


def _is_quieter(of: Score, case: Case) -> bool:
    return bool(of["late"] <= LATE and of["flips"] < _ours(case)["flips"])
