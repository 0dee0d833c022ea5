"""docs/benchmarks.md from the results: each promise, what was measured, and where, when and on which code."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.catalogue import BENCHMARKS, Benchmark, Promise, limits
from benchmarks.recording import Result

UNITS = {"s": "s", "ms": "ms", "mb": "MB"}


def render(results: Mapping[str, Result]) -> str:
    """The whole page. Benchmarks without a result are named as such."""
    paragraphs = [*_head(results), _overview(results)]
    for it in BENCHMARKS:
        paragraphs += _section(it, results.get(it.name))
    return "\n\n".join(it if it.startswith(("#", "|", "!")) else _wrapped(it) for it in paragraphs) + "\n"


def is_held(benchmark: Benchmark, result: Result | None) -> bool:
    """Whether its last run went to its end and kept every promise."""
    return result is not None and result.status == 0 and not benchmark.broken(result.figures)


def _head(results: Mapping[str, Result]) -> Iterator[str]:
    held = sum(is_held(it, results.get(it.name)) for it in BENCHMARKS)
    missing = sum(it.name not in results for it in BENCHMARKS)
    without = f"; {missing} have not been run yet" if missing else ""
    yield "# Benchmarks: what is promised, and what was measured"
    yield (
        f"{held} of {len(BENCHMARKS)} benchmarks hold all their promises{without}. `make bench` runs them one after "
        'the other and writes this page; `make bench ONLY="enqueue delayed"` runs some again, `make benchmarks-doc` '
        "writes the page anew without running anything, and each by itself (`make bench-reaction`) prints its figures "
        "in one line and exits 1 when a promise is broken. What is measured, and how, is told by each one's module in "
        "`benchmarks/`. Give them a machine with nothing else to do."
    )
    yield (
        "The promise in seconds has a page of its own, with every case and every other autoscaler: "
        "[what it costs, and the others](autoscalers.md)."
    )
    ran = {(result.surroundings.commit, result.surroundings.machine) for result in results.values()}
    if len(ran) == 1 and not missing:
        ((commit, machine),) = ran
        yield f"All of one run at commit {commit}, on {machine}."
    elif ran:
        yield "Not all of them are from one run: each section says when, where and at which commit it was."


def _overview(results: Mapping[str, Result]) -> str:
    lines = ["| Benchmark | | Promises | |", "| --- | --- | --- | --- |"]
    for it in BENCHMARKS:
        result = results.get(it.name)
        kept = f"{len(it.promises) - len(it.broken(result.figures))} of " if result else ""
        verdict = "not run yet" if result is None else "held" if is_held(it, result) else "**broken**"
        lines.append(f"| [`{it.target}`](#{_anchor(it.title)}) | {it.title} | {kept}{len(it.promises)} | {verdict} |")
    return "\n".join(lines)


def _section(benchmark: Benchmark, result: Result | None) -> Iterator[str]:
    yield f"## {benchmark.title}"
    if result is None:
        yield f"`make {benchmark.target}` has not been run yet. It promises:"
    else:
        around = result.surroundings
        yield (
            f"`make {benchmark.target}`, {result.began} UTC, {result.took_s:.0f} s, at commit {around.commit}, on "
            f"{around.machine}; load {around.load:g} before it{_stolen(result)}."
        )
    if result is not None and result.status not in (0, 1):
        yield f"**It did not come to its end: exit status {result.status}.**"
    elif result is not None and not result.figures:
        yield "**It ended without figures.**"
    elif result is not None and result.status and not benchmark.broken(result.figures):
        yield "**It calls itself broken, though every promise below is kept: the promises have changed since.**"
    lines = ["| | promised | measured | |", "| --- | ---: | ---: | --- |"]
    lines += [_row(promise, result) for promise in benchmark.promises]
    yield "\n".join(lines)
    if result is not None and (also := _also(benchmark, result)):
        yield f"Also: {also}."
    if benchmark.picture and result is not None:
        yield f"![{benchmark.title}]({benchmark.picture})"


def _stolen(result: Result) -> str:
    if result.stolen is None:
        return ""
    return f", and {result.stolen:.0%} of the processors' time taken by other virtual machines during it"


def _row(promise: Promise, result: Result | None) -> str:
    if result is None:
        return f"| {promise.words} | {limits(promise)}{_unit(promise.figure)} | | |"
    measured = _value(promise.figure, result.figures.get(promise.figure))
    verdict = "held" if promise.is_kept(result.figures) else "**broken**"
    return f"| {promise.words} | {limits(promise)}{_unit(promise.figure)} | {measured} | {verdict} |"


def _also(benchmark: Benchmark, result: Result) -> str:
    """The figures of which nothing is promised, with their names."""
    promised = {promise.figure for promise in benchmark.promises}
    return ", ".join(
        f"`{name}` {_value(name, value)}" for name, value in result.figures.items() if name not in promised
    )


def _value(name: str, value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:,.10g}{_unit(name)}" if isinstance(value, int | float) else str(value)


def _unit(name: str) -> str:
    unit = UNITS.get(name.rpartition("_")[2])
    return f" {unit}" if unit else ""


def _anchor(title: str) -> str:
    """As GitHub names a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(paragraph, 125, break_long_words=False, break_on_hyphens=False)
