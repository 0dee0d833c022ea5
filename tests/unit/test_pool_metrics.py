"""The series of a pool, from its first look to its end."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from tests.support.pools import pool, seen

from crewcall_operator.adapters.prometheus import PoolMetrics
from crewcall_operator.ports import Report


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
