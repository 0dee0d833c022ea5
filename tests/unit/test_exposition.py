"""The text of a scrape says what prometheus_client's own would."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from crewcall_operator.adapters.exposition import exposition

numbers = some.integers(-(10**20), 10**20) | some.floats(allow_nan=False)


class Given(Collector):
    """Collects these families."""

    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> tuple[Metric, ...]:
        return self._families


def test_a_scrape_reads_as_the_library_writes_it() -> None:
    gauge = GaugeMetricFamily("depth", "Jobs, by\nqueue \\ pool.", labels=["namespace", "queue"])
    gauge.add_metric(["shop", 'a "b"\\\n,c{d}='], 3)
    gauge.add_metric(["shop", "ü"], inf)
    counter = CounterMetricFamily("changes", "Changes.", labels=["direction"])
    counter.add_metric(["up"], 12_345_678)
    info = InfoMetricFamily("build", "The version.", value={"version": "1.2"})
    buckets = [("0.1", 1.0), ("+Inf", 3.0)]
    histogram = HistogramMetricFamily("seconds", "Times.", buckets=buckets, sum_value=0.3)
    empty = GaugeMetricFamily("nothing", "Without a sample.", labels=["pool"])
    plain = GaugeMetricFamily("leader", "1 where it leads.", value=True)

    assert read(given_all := registry(gauge, counter, info, histogram, empty, plain)) == expected(given_all)


def test_labels_are_in_the_order_that_the_library_writes_them_in() -> None:
    counter = CounterMetricFamily("changes", "Changes.", labels=["namespace", "pool", "direction"])
    counter.add_metric(["shop", "sms", "up"], 1)

    assert exposition([counter]) == generate_latest(registry(counter))


def test_the_figures_of_the_process_read_as_the_library_writes_them() -> None:
    found = CollectorRegistry()
    PlatformCollector(registry=found)
    ProcessCollector(registry=found)

    names = [family.name for family in text_string_to_metric_families(exposition(found.collect()).decode())]

    assert names == [family.name for family in text_string_to_metric_families(generate_latest(found).decode())]


@given(value=numbers, label=some.text(some.characters(exclude_categories=["Cs"])))
def test_any_value_and_any_label_read_as_the_library_writes_them(value: float, label: str) -> None:
    gauge = GaugeMetricFamily("depth", "Jobs.", labels=["queue"])
    gauge.add_metric([label], value)

    assert read(registry(gauge)) == expected(registry(gauge))


def registry(*families: Metric) -> CollectorRegistry:
    found = CollectorRegistry()
    found.register(Given(*families))
    return found


def read(given_all: CollectorRegistry) -> list[Metric]:
    return list(text_string_to_metric_families(exposition(given_all.collect()).decode()))


def expected(given_all: CollectorRegistry) -> list[Metric]:
    return list(text_string_to_metric_families(generate_latest(given_all).decode()))
