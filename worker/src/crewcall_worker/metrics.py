"""What Prometheus scrapes from a worker: its own counters, put into metric families when it asks.

They are those of `stats`, so they cost a job nothing on top. `docs/metrics.md` describes each family.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from crewcall_worker.queues.stalled import Stalled
from crewcall_worker.stats import Stats
from crewcall_worker.wire import WAIT_BUCKETS_MS, Counter, wait_field

OUTCOMES = (Counter.DONE, Counter.FAILED, Counter.RETRIED)

Totals = Mapping[tuple[str, str], int]


class WorkerMetrics(Collector):
    """A Collector that answers a scrape from a worker's `Stats`."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        totals = self._stats.totals()
        queues = sorted({queue for queue, _ in totals})
        running = GaugeMetricFamily("crewcall_worker_running_jobs", "Jobs that run now.", labels=["queue"])
        for queue, jobs in self._stats.running().items():
            running.add_metric([queue], jobs)
        started = CounterMetricFamily("crewcall_worker_jobs_started", "Jobs begun.", labels=["queue"])
        ended = CounterMetricFamily("crewcall_worker_jobs", "Jobs that are over.", labels=["queue", "outcome"])
        busy = CounterMetricFamily(
            "crewcall_worker_busy_seconds",
            "Time that threads spent on jobs, unfinished ones included.",
            labels=["queue"],
        )
        for queue in queues:
            started.add_metric([queue], totals.get((queue, Counter.STARTED), 0))
            busy.add_metric([queue], totals.get((queue, Counter.BUSY_MS), 0) / 1000)
            for outcome in OUTCOMES:
                ended.add_metric([queue, outcome.value], totals.get((queue, outcome), 0))
        return running, started, ended, busy, _waits(totals, queues)


class StalledMetrics(Collector):
    """A Collector that answers a scrape with what a worker knows of its stalled jobs."""

    def __init__(self, stalled: Stalled) -> None:
        self._stalled = stalled

    def collect(self) -> Iterable[Metric]:
        now = GaugeMetricFamily(
            "crewcall_worker_stalled_jobs", "Typed jobs that run for longer than their type expects.", labels=["queue"]
        )
        ever = CounterMetricFamily(
            "crewcall_worker_jobs_stalled", "Typed jobs that have run for longer than expected.", labels=["queue"]
        )
        for queue, jobs in sorted(self._stalled.now().items()):
            now.add_metric([queue], jobs)
        for queue, jobs in sorted(self._stalled.totals().items()):
            ever.add_metric([queue], jobs)
        return now, ever


def _waits(totals: Totals, queues: list[str]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(
        "crewcall_worker_wait_seconds", "From when a job was ready to its start.", labels=["queue"]
    )
    for queue in queues:
        count, buckets = 0, []
        for bucket_ms in (*WAIT_BUCKETS_MS, None):
            count += totals.get((queue, wait_field(bucket_ms)), 0)
            buckets.append(("+Inf" if bucket_ms is None else str(bucket_ms / 1000), float(count)))
        family.add_metric([queue], buckets, sum_value=totals.get((queue, Counter.WAIT_MS_SUM), 0) / 1000)
    return family
