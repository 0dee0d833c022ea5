"""The simulator against closed forms: what theory knows exactly, it must find."""

from __future__ import annotations

from itertools import accumulate
from random import Random

import pytest
from tests.support.erlang import erlang_c

from crewcall_operator.simulation.constant import Fixed
from crewcall_operator.simulation.setting import Setting
from crewcall_operator.simulation.trace import Trace
from crewcall_operator.simulation.world import simulate

JOBS = 200_000


@pytest.mark.parametrize(
    ("replicas", "threads", "load"), [(1, 1, 0.6), (4, 4, 0.8), (8, 1, 0.7)], ids=lambda value: f"{value}"
)
def test_jobs_wait_as_long_as_erlang_says(replicas: int, threads: int, load: float) -> None:
    """M/M/n: Poisson arrivals, exponential service of one second, n threads in all, and nothing prefetched."""
    n = replicas * threads
    offered = load * n
    theory = erlang_c(n, offered) / (n - offered)

    waits = simulate(_poisson(offered), Setting(threads=threads, prefetch=0), Fixed(replicas)).waits

    assert sum(waits) / len(waits) == pytest.approx(theory, rel=0.03)


def test_a_share_of_jobs_waits_that_erlang_says() -> None:
    waits = simulate(_poisson(6.4), Setting(threads=8, prefetch=0), Fixed(1)).waits

    assert sum(wait > 0 for wait in waits) / len(waits) == pytest.approx(erlang_c(8, 6.4), rel=0.03)


def test_prefetching_makes_jobs_wait_behind_others_though_a_thread_is_free() -> None:
    trace = _poisson(6.4)

    shared = simulate(trace, Setting(threads=2, prefetch=0), Fixed(4)).waits
    prefetched = simulate(trace, Setting(threads=2, prefetch=2), Fixed(4)).waits

    assert sum(prefetched) > 2 * sum(shared)


def _poisson(rate: float) -> Trace:
    """Scaled so that the means are exact: how they happen to differ is no part of the question."""
    chance = Random(7)
    gaps = [chance.expovariate(1.0) for _ in range(JOBS)]
    services = [chance.expovariate(1.0) for _ in range(JOBS)]
    scale = JOBS / sum(gaps) / rate
    arrivals = accumulate(gap * scale for gap in gaps)
    mean = sum(services) / JOBS
    return Trace("poisson", tuple(arrivals), tuple(service / mean for service in services))
