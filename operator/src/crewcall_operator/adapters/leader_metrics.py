"""What an operator that does not lead tells Prometheus: that it does not, and nothing of the pools.

Its figures of them would be counted twice, for the leader has them all.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from crewcall_operator.core.leadership import Leadership


class LeaderMetrics(Collector):
    """Whether this operator leads, and while it does, what `led` collects."""

    def __init__(self, led: Collector, leadership: Leadership) -> None:
        self._led = led
        self._leadership = leadership

    def collect(self) -> Iterable[Metric]:
        leads = self._leadership() > 0
        yield GaugeMetricFamily("crewcall_leader", "1 where this operator leads, else 0.", value=float(leads))
        if leads:
            yield from self._led.collect()
