"""A contest as a picture: how long jobs waited, and the replicas of each autoscaler over time.

matplotlib is imported when a picture is made: that takes a second which nobody else should wait for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crewcall_operator.simulation.contest import OURS, Entry, Result

COLORS = ("#c8553d", "#2a6f97", "#6a994e", "#8d6a9f", "#b08968", "#5c677d", "#e09f3e", "#4d908e", "#9d4edd", "#577590")
BEHIND, INK, FAINT = "#dfe7ea", "#2f3437", "#9aa3a8"

#: Points of a line of waits.
BINS = 240


def draw(result: Result, path: Path) -> None:
    """Write the picture to `path`."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    trace = result.trace
    ends = max(entry.outcome.ended_at for name, entry in result.entries.items() if name == OURS)
    unit, seconds = next(
        it for it in (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1)) if ends >= 2 * it[1]
    )
    figure = Figure(figsize=(10, 6.4), dpi=130, layout="constrained")
    waits, replicas = figure.subplots(2, 1, sharex=True)

    edges = np.linspace(0.0, ends, BINS + 1)
    at = np.digitize(trace.arrivals, edges) - 1
    centers = (edges[:-1] + edges[1:]) / 2 / seconds
    jobs = waits.twinx()
    jobs.fill_between(centers, np.bincount(at, minlength=BINS)[:BINS] / (edges[1] - edges[0]), step="mid", color=BEHIND)
    jobs.set_ylabel("jobs a second", color=FAINT, fontsize=9)
    jobs.set_ylim(bottom=0)
    waits.set_zorder(jobs.get_zorder() + 1)
    waits.patch.set_visible(False)
    highest = 2.5 * result.promise
    for color, (name, entry) in zip(COLORS, result.entries.items(), strict=False):
        line = {"color": color, "linewidth": 1.8 if name == OURS else 1.0, "zorder": 3 if name == OURS else 2}
        waits.plot(centers, np.minimum(_worst(entry, at), highest), label=name, marker=".", markersize=3, **line)
        changes = entry.outcome.changes
        until = [*changes, changes[-1]._replace(at=entry.outcome.ended_at)]
        replicas.step([it.at / seconds for it in until], [it.alive for it in until], where="post", label=name, **line)
    waits.axhline(result.promise, color=INK, linewidth=0.8, linestyle=":")
    waits.annotate("promise", (0, result.promise), xytext=(3, 3), textcoords="offset points", fontsize=9, color=INK)
    waits.set_ylim(0, 1.02 * highest)
    waits.set_title(f"{trace.name}: wait of the 95th of 100 jobs, in seconds", loc="left", fontsize=10, color=INK)
    replicas.set_title("Replicas that are paid for", loc="left", fontsize=10, color=INK)
    replicas.yaxis.set_major_locator(MaxNLocator(integer=True))
    replicas.set_ylim(bottom=0)
    replicas.set_xlim(0, ends / seconds)
    replicas.set_xlabel(f"{unit} since the beginning")
    for axes in (waits, jobs, replicas):
        axes.margins(x=0)
        axes.spines[["top", "right"]].set_visible(False)
    replicas.grid(axis="y", color=FAINT, alpha=0.3)
    waits.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0, frameon=False, fontsize=9, ncols=10)
    figure.savefig(path)


def _worst(
    entry: Entry, at: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The 95th percentile of the waits by bin, of the jobs that came in it; nothing where none came."""
    waits = np.asarray(entry.outcome.waits)
    worst = np.full(BINS, np.nan)
    for bin_ in np.unique(at[at < BINS]):
        worst[bin_] = np.percentile(waits[at == bin_], 95, method="inverted_cdf")
    return worst
