"""What Prometheus scrapes: the latest report of every pool, put into metric families when it asks.

A report costs a tick a few dictionary entries; the families are built at scrape time, in another thread, from copies.
What is unknown is absent, never zero. `docs/metrics.md` describes each family.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from crewcall_operator.api.pool import PoolKey
from crewcall_operator.core.estimate import Estimate
from crewcall_operator.core.observation import QueueState
from crewcall_operator.core.policy import QueueLatency
from crewcall_operator.ports import Report

QUEUE_GAUGES: dict[str, tuple[str, Callable[[QueueState], float | None]]] = {
    "crewcall_queue_ready_jobs": ("Jobs waiting in the queue, due now.", lambda queue: queue.ready),
    "crewcall_queue_in_flight_jobs": ("Jobs fetched and not acknowledged.", lambda queue: queue.in_flight),
    "crewcall_queue_delayed_jobs": ("Jobs that become ready later.", lambda queue: queue.delayed),
    "crewcall_queue_dead_jobs": ("Dead letters.", lambda queue: queue.dead),
    "crewcall_queue_oldest_ready_age_seconds": (
        "Age of the oldest job that waits in the queue.",
        lambda queue: queue.oldest_ready_age,
    ),
    "crewcall_queue_limited_jobs": (
        "Of the ready jobs, those that wait until their organisation has fewer in flight.",
        lambda queue: queue.limited,
    ),
    "crewcall_queue_paused": ("1 where nobody fetches from the queue.", lambda queue: int(queue.is_paused)),
}

POOL_GAUGES: dict[str, tuple[str, Callable[[Report], float | None]]] = {
    "crewcall_pool_current_replicas": (
        "Replicas asked of the Deployment.",
        lambda report: report.fleet.current if report.fleet else None,
    ),
    "crewcall_pool_ready_replicas": (
        "Replicas that are ready.",
        lambda report: report.fleet.ready if report.fleet else None,
    ),
    "crewcall_pool_desired_replicas": (
        "Replicas decided on.",
        lambda report: report.decision.replicas if report.decision else None,
    ),
    "crewcall_pool_draining_replicas": (
        "Replicas that were ordered to drain and still run jobs.",
        lambda report: len(report.plan.draining) if report.plan else None,
    ),
    "crewcall_pool_min_replicas": (
        "spec.minReplicas.",
        lambda report: report.pool.policy.min_replicas,
    ),
    "crewcall_pool_max_replicas": (
        "spec.maxReplicas.",
        lambda report: report.pool.policy.max_replicas,
    ),
    "crewcall_pool_target_latency_seconds": (
        "spec.target.queueLatency.",
        lambda report: target.seconds if isinstance(target := report.pool.policy.target, QueueLatency) else None,
    ),
    "crewcall_pool_redis_up": (
        "1 where the last look at the pool's Redis succeeded, else 0.",
        lambda report: report.observation is not None,
    ),
    "crewcall_pool_target_up": (
        "1 where the pool's Deployment could be read and changed, else 0.",
        lambda report: report.failure is None,
    ),
}

ESTIMATE_GAUGES: dict[str, tuple[str, Callable[[Estimate], float]]] = {
    "crewcall_pool_arrivals_jobs_per_second": (
        "Jobs that come, as estimated. Pools sized by queueLatency only, like the next five.",
        lambda known: known.arrivals,
    ),
    "crewcall_pool_service_time_seconds": (
        "Time that one job takes, as estimated.",
        lambda known: known.service,
    ),
    "crewcall_pool_load_threads": (
        "Threads that are busy on average, as estimated.",
        lambda known: known.load,
    ),
    "crewcall_pool_replica_threads": (
        "Jobs that one replica runs at once.",
        lambda known: known.threads,
    ),
    "crewcall_pool_startup_seconds": (
        "Time that a new replica takes until it works.",
        lambda known: known.startup,
    ),
    "crewcall_pool_downstream_saturated": (
        "1 where more replicas have brought no more throughput, else 0.",
        lambda known: known.saturated is not None,
    ),
}


class PoolMetrics(Collector):
    """A Reporter that keeps each pool's last report, and a Collector that answers a scrape from them."""

    def __init__(self) -> None:
        self._reports: dict[PoolKey, Report] = {}
        self._rejected: set[PoolKey] = set()
        self._decisions: Counter[tuple[str, ...]] = Counter()
        self._changes: Counter[tuple[str, ...]] = Counter()
        self._deaths: Counter[tuple[str, ...]] = Counter()
        self._returned: Counter[tuple[str, ...]] = Counter()

    def reject(self, key: PoolKey) -> None:
        """The pool's spec is invalid, until it is reported on or forgotten."""
        self._rejected.add(key)

    def report(self, report: Report) -> None:
        self._rejected.discard(report.pool.key)
        key, fleet, decision = report.pool.key, report.fleet, report.decision
        self._reports[key] = report
        if decision is not None:
            self._decisions[*key, decision.reason.value] += 1
        if report.applied and fleet is not None and decision is not None:
            self._changes[*key, "up" if decision.replicas > fleet.current else "down"] += 1
        # From zero on: Prometheus takes the first value of a series for no increase, so three deaths at once were none.
        self._deaths[*key] += len(report.recovered)
        self._returned[*key] += sum(dead.returned for dead in report.recovered)

    def forget(self, key: PoolKey) -> None:
        self._reports.pop(key, None)
        self._rejected.discard(key)
        for counter in (self._decisions, self._changes, self._deaths, self._returned):
            for labels in [labels for labels in counter if labels[:2] == key]:
                del counter[labels]

    def collect(self) -> Iterable[Metric]:
        for name, (text, of_queue) in QUEUE_GAUGES.items():
            yield _gauge(name, text, "queue", self._queue_samples(of_queue))
        for name, (text, of_pool) in POOL_GAUGES.items():
            yield _gauge(name, text, None, ((key, of_pool(report)) for key, report in list(self._reports.items())))
        valid = {**dict.fromkeys(list(self._reports), 1.0), **dict.fromkeys(list(self._rejected), 0.0)}
        text = "1 where the pool's spec is valid, else 0: then nothing of it is looked at."
        yield _gauge("crewcall_pool_spec_valid", text, None, valid.items())
        for name, (text, of_estimate) in ESTIMATE_GAUGES.items():
            known = (
                (key, report.estimate) for key, report in list(self._reports.items()) if report.estimate is not None
            )
            yield _gauge(name, text, None, ((key, of_estimate(it)) for key, it in known))
        yield _counter("crewcall_decisions", "Decisions taken.", "reason", self._decisions)
        yield _counter("crewcall_scale_changes", "Changes of replicas carried out.", "direction", self._changes)
        yield _counter("crewcall_dead_workers", "Workers found dead.", None, self._deaths)
        yield _counter("crewcall_recovered_jobs", "Dead workers' jobs given back.", None, self._returned)

    def _queue_samples(
        self, of_queue: Callable[[QueueState], float | None]
    ) -> Iterable[tuple[tuple[str, ...], float | None]]:
        for key, report in list(self._reports.items()):
            for queue in report.observation.queues if report.observation else ():
                yield (*key, queue.name), of_queue(queue)


def _gauge(
    name: str, text: str, label: str | None, samples: Iterable[tuple[tuple[str, ...], float | None]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=_labels(label))
    for labels, value in samples:
        if value is not None:
            family.add_metric(labels, value)
    return family


def _counter(name: str, text: str, label: str | None, counts: Counter[tuple[str, ...]]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=_labels(label))
    for labels, count in list(counts.items()):
        family.add_metric(labels, count)
    return family


def _labels(extra: str | None) -> tuple[str, ...]:
    return ("namespace", "pool", extra) if extra else ("namespace", "pool")
