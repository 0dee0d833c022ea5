"""What the bounds come to, by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewcall_operator.simulation.bounds import total_work, zero_wait
from crewcall_operator.simulation.setting import Setting
from crewcall_operator.simulation.trace import Trace

HOUR = 3600.0


def _hours(*pairs: tuple[float, float], threads: int = 1, startup: float = 10.0) -> float:
    trace = Trace("jobs", tuple(at for at, _ in pairs), tuple(service for _, service in pairs))
    return zero_wait(trace, Setting(threads=threads, startup=startup)) * HOUR


def test_a_job_costs_its_time_and_one_start() -> None:
    assert _hours((100.0, 30.0)) == pytest.approx(40.0)


def test_a_replica_is_kept_where_its_next_use_is_nearer_than_a_start() -> None:
    assert _hours((100.0, 30.0), (135.0, 5.0)) == pytest.approx(10 + 40)
    assert _hours((100.0, 30.0), (145.0, 5.0)) == pytest.approx(10 + 30 + 10 + 5)


def test_jobs_at_the_same_time_share_the_threads_of_a_replica() -> None:
    assert _hours((0.0, 10.0), (0.0, 10.0), (0.0, 20.0), threads=2) == pytest.approx((10 + 20) + (10 + 10))


@given(
    pairs=st.lists(st.tuples(st.floats(0, 500), st.floats(0.1, 60)), min_size=1, max_size=30).map(sorted),
    threads=st.integers(1, 4),
)
def test_no_schedule_without_waiting_costs_less_than_its_work(pairs: list[tuple[float, float]], threads: int) -> None:
    trace = Trace("jobs", tuple(at for at, _ in pairs), tuple(service for _, service in pairs))
    setting = Setting(threads=threads)

    assert zero_wait(trace, setting) >= total_work(trace, setting) * (1 - 1e-9)
