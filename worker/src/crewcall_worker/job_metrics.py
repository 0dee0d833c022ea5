"""What Prometheus scrapes of typed jobs, by job type: attempts by what became of them, and how long they took.

The labels are names of job types that the worker has, so there are as many series as its modules make. Organisations
are no labels: there may be any number of them. `docs/metrics.md` describes each family.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from crewcall_worker.attempt import Attempt, Outcome

BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_NEVER_RAN = frozenset({Outcome.SKIPPED})


class JobMetrics(Collector):
    """A Collector that is told of each attempt's end by `count`, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: Tally[tuple[str, Outcome]] = Tally()
        self._runs: Tally[tuple[str, int]] = Tally()  # by job and the place of its bucket; the last one is +Inf
        self._seconds: dict[str, float] = {}

    def count(self, attempt: Attempt, outcome: Outcome, seconds: float) -> None:
        """An attempt is over."""
        with self._lock:
            self._ends[attempt.job, outcome] += 1
            if outcome not in _NEVER_RAN:
                self._runs[attempt.job, bisect_left(BUCKETS_S, seconds)] += 1
                self._seconds[attempt.job] = self._seconds.get(attempt.job, 0.0) + seconds

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            ends, runs, seconds = dict(self._ends), dict(self._runs), dict(self._seconds)
        attempts = CounterMetricFamily(
            "crewcall_worker_job_attempts", "Attempts at typed jobs that are over.", labels=["job", "outcome"]
        )
        for job in sorted({job for job, _ in ends}):
            for outcome in Outcome:
                attempts.add_metric([job, outcome.value], ends.get((job, outcome), 0))
        durations = HistogramMetricFamily(
            "crewcall_worker_job_seconds", "How long attempts at typed jobs took.", labels=["job"]
        )
        for job, total in sorted(seconds.items()):
            count, buckets = 0, []
            for place, most in enumerate((*BUCKETS_S, None)):
                count += runs.get((job, place), 0)
                buckets.append(("+Inf" if most is None else str(most), float(count)))
            durations.add_metric([job], buckets, sum_value=total)
        return attempts, durations
