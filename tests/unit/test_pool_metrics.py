"""The series of a pool, from its first look to its end."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from tests.support.pools import pool, seen

from crewcall_operator.adapters.prometheus import PoolMetrics
from crewcall_operator.ports import Recovered, Report


def test_shows_a_pool_with_an_invalid_spec_until_it_is_valid_or_gone() -> None:
    metrics, registry, sms = PoolMetrics(), CollectorRegistry(), pool("sms")
    registry.register(metrics)

    def valid() -> float | None:
        return registry.get_sample_value("crewcall_pool_spec_valid", {"namespace": "shop", "pool": "sms"})

    found = [valid()]
    metrics.reject(sms.key)
    found.append(valid())
    metrics.report(Report(sms, 0.0, seen(3)))
    found.append(valid())
    metrics.forget(sms.key)
    metrics.reject(sms.key)
    found.append(valid())
    metrics.forget(sms.key)
    found.append(valid())

    assert found == [None, 0.0, 1.0, 0.0, None]


def test_counts_deaths_from_zero_so_that_prometheus_sees_the_first_ones_as_an_increase() -> None:
    """`increase` is blind to a series that begins at 3."""
    metrics, registry, sms = PoolMetrics(), CollectorRegistry(), pool("sms")
    registry.register(metrics)
    names = ("crewcall_dead_workers_total", "crewcall_recovered_jobs_total")

    def counted() -> list[float | None]:
        return [registry.get_sample_value(name, {"namespace": "shop", "pool": "sms"}) for name in names]

    found = [counted()]
    metrics.report(Report(sms, 0.0, seen(3)))
    found.append(counted())
    metrics.report(Report(sms, 1.0, seen(3), recovered=(Recovered("a", returned=2), Recovered("b", returned=0))))
    found.append(counted())
    metrics.forget(sms.key)
    found.append(counted())

    assert found == [[None, None], [0.0, 0.0], [2.0, 2.0], [None, None]]
