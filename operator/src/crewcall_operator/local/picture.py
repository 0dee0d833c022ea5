"""A pool's outstanding jobs and replicas over time, as a PNG.

matplotlib is imported when a picture is made: that takes a second which nobody else should wait for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crewcall_operator.local.history import Decided
from crewcall_operator.ports import Report

IN_FLIGHT, READY, ASKED, RUNNING, INK, FAINT = "#2a6f97", "#a9d6e5", "#c8553d", "#b7c9b0", "#2f3437", "#9aa3a8"
#: Seconds shown before the first mark, at most.
BEFORE = 1.5
#: Seconds that a mark's words may take up on the axis.
CLOSE = 4.0


@dataclass(frozen=True, slots=True)
class Mark:
    """What somebody did to the pool, in a few words, and when: on the clock of the reports."""

    at: float
    words: str


def draw(reports: Sequence[Report], decisions: Sequence[Decided], marks: Sequence[Mark], path: Path) -> None:
    """Write the picture to `path`. The first of `marks` is when the first job was sent: the axis counts from it."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    zero = marks[0].at
    figure = Figure(figsize=(10, 5.6), dpi=130, layout="constrained")
    jobs, replicas = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))

    looks = [(report.at - zero, report.observation) for report in reports if report.observation is not None]
    jobs.stackplot(
        [at for at, _ in looks],
        [look.in_flight for _, look in looks],
        [look.ready for _, look in looks],
        labels=("in flight", "ready"),
        colors=(IN_FLIGHT, READY),
    )
    jobs.set_title("Outstanding, in jobs", loc="left", fontsize=10, color=INK)

    jobs.set_ylim(0, 1.3 * max(1, *(look.outstanding for _, look in looks)))

    fleets = [(report.at - zero, report.fleet) for report in reports if report.fleet is not None]
    replicas.fill_between(
        [at for at, _ in fleets], [fleet.ready for _, fleet in fleets], step="post", color=RUNNING, label="running"
    )
    asked = [(fleets[0][0], fleets[0][1].current), *((entry.at - zero, entry.after) for entry in decisions)]
    asked.append((fleets[-1][0], fleets[-1][1].current))
    replicas.step(*zip(*asked, strict=True), where="post", color=ASKED, linewidth=2, label="asked for")
    for entry in decisions:
        replicas.annotate(
            f"{entry.before} → {entry.after}",
            (entry.at - zero, max(entry.before, entry.after)),
            xytext=(3, 4),
            textcoords="offset points",
            fontsize=9,
            color=ASKED,
        )
    replicas.set_title("Replicas", loc="left", fontsize=10, color=INK)
    replicas.yaxis.set_major_locator(MaxNLocator(integer=True))
    replicas.set_ylim(0, 1.25 * max(1, *(count for _, count in asked)))
    replicas.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    replicas.set_xlabel("seconds since the first job was sent")

    for axes in (jobs, replicas):
        axes.margins(x=0)
        axes.grid(axis="y", color=FAINT, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0, frameon=False, fontsize=9, ncols=2)
        for mark in marks:
            axes.axvline(mark.at - zero, color=INK, linewidth=0.8, linestyle=":")
    replicas.set_xlim(left=max(-BEFORE, reports[0].at - zero))
    for mark, row in in_rows(marks):
        jobs.annotate(
            mark.words,
            (mark.at - zero, 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, -10 - 13 * row),
            textcoords="offset points",
            fontsize=9,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def in_rows(marks: Sequence[Mark]) -> Iterator[tuple[Mark, int]]:
    """Each mark with the row that its words are in: a lower one where they would be written over the words before."""
    row, last = 0, -math.inf
    for mark in marks:
        row = row + 1 if mark.at - last < CLOSE else 0
        last = mark.at
        yield mark, row
