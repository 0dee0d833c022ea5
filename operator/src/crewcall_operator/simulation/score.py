"""What an outcome is worth: waits, the promise, what it cost, how restless it was.

Percentiles are those of numpy's "inverted_cdf": a wait that a job had, and no value between two.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from crewcall_operator.simulation.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Score:
    """`late` is the share of jobs that started later than the target, from 0 to 1; waits in seconds.

    `pod_hours` are paid from being asked for to being gone. `changes` are moves of the number asked for, `flips` those
    of them that went the other way than the one before, and `flips_per_hour` the most of them within any hour.
    """

    late: float
    p50: float
    p95: float
    p99: float
    pod_hours: float
    peak: int
    changes: int
    flips: int
    flips_per_hour: int
    interrupted: int


def score(outcome: Outcome, target: float) -> Score:
    """`target` is the promise, in seconds."""
    waits = np.sort(np.asarray(outcome.waits))
    moves = [
        (after.at, after.asked > before.asked)
        for before, after in pairwise(outcome.changes)
        if after.asked != before.asked
    ]
    flips = [at for (_, was_up), (at, is_up) in pairwise(moves) if was_up != is_up]
    return Score(
        late=float(np.mean(waits > target)),
        p50=_percentile(waits, 50),
        p95=_percentile(waits, 95),
        p99=_percentile(waits, 99),
        pod_hours=outcome.replica_seconds / 3600,
        peak=max(change.asked for change in outcome.changes),
        changes=len(moves),
        flips=len(flips),
        flips_per_hour=_most_in_an_hour(flips),
        interrupted=outcome.interrupted,
    )


def _most_in_an_hour(times: Sequence[float]) -> int:
    """`times` are sorted, in seconds."""
    return max((bisect_left(times, at + 3600, lo=first) - first for first, at in enumerate(times)), default=0)


def _percentile(sorted_waits: np.ndarray[tuple[int], np.dtype[np.float64]], percent: float) -> float:
    return float(sorted_waits[max(0, int(np.ceil(len(sorted_waits) * percent / 100)) - 1)])
