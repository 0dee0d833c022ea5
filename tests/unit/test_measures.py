"""How fast the operator is, counted from outside: what is a reaction, what a tick, what an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.support.clock import Clock
from tests.support.pools import pool, seen

from crewcall_operator.adapters.measures import MeasuredOrders, MeasuredReader, Measures
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.decision import Decision, Reason
from crewcall_operator.core.observation import Fleet, Observation
from crewcall_operator.core.policy import Mode
from crewcall_operator.errors import QueueUnavailable
from crewcall_operator.ports import Recovered, Report

SILENT = QueueUnavailable("redis:6379", "no answer")


class Bench:
    """Measures on a clock of the test's own, and what Prometheus would read of them."""

    def __init__(self) -> None:
        self.clock = Clock(100.0)
        self.measures = Measures(self.clock)
        self._registry = CollectorRegistry()
        self._registry.register(self.measures)

    def value(self, name: str, **labels: str) -> float | None:
        return self._registry.get_sample_value(name, labels)

    @property
    def reactions(self) -> tuple[Any, Any]:
        """How many, and their seconds together."""
        return self.value("crewcall_reaction_seconds_count"), self.value("crewcall_reaction_seconds_sum")

    def look(
        self, ready: int, replicas: int = 0, *, oldest: float | None = 0.4, took: float = 0.1, **more: Any
    ) -> None:
        """A tick that found `ready` jobs and ended `took` seconds after the look, with `replicas` where none were."""
        fields = {"applied": replicas > 0, **more}
        observed = seen(ready=ready, oldest=oldest if ready else None)
        self.measures.report(
            Report(
                fields.pop("pool", pool()),
                self.clock.now - took,
                observed,
                fleet=Fleet(0, 0),
                decision=Decision(replicas, Reason.ACTIVATED),
                **fields,
            )
        )


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_reaction_is_the_jobs_age_at_the_look_and_the_time_until_the_patch(bench: Bench) -> None:
    bench.look(0)
    bench.look(5, 1, oldest=0.4, took=0.1)

    assert bench.reactions == (1, pytest.approx(0.5))


def test_growth_of_a_backlog_that_was_there_is_no_reaction(bench: Bench) -> None:
    bench.look(0)
    bench.look(5, 1)
    bench.look(500, 9, oldest=60.0)

    assert bench.reactions == (1, pytest.approx(0.5))


def test_nor_is_work_that_the_replicas_there_were_enough_for_at_first(bench: Bench) -> None:
    bench.look(0)
    bench.look(5, 0)
    bench.look(500, 9, oldest=60.0)

    assert bench.reactions == (0, 0.0)


def test_a_patch_that_was_refused_counts_from_the_same_job_once_it_is_taken(bench: Bench) -> None:
    bench.look(0)
    bench.look(5, 1, applied=False)
    bench.look(5, 1, oldest=30.0, took=0.0)

    assert bench.reactions == (1, 30.0)


def test_what_was_there_before_the_operator_is_not_its_reaction(bench: Bench) -> None:
    bench.look(5, 1, oldest=3600.0)

    assert bench.reactions == (0, 0.0)


def test_a_job_whose_age_cannot_be_read_is_left_out(bench: Bench) -> None:
    bench.look(0)
    bench.look(5, 1, oldest=None)

    assert bench.reactions == (0, 0.0)


def test_a_recommendation_is_no_reaction(bench: Bench) -> None:
    advised = pool(mode=Mode.RECOMMEND)
    bench.look(0, pool=advised)
    bench.look(5, 1, pool=advised, applied=False)

    assert bench.reactions == (0, 0.0)


class Looks:
    """A reader that takes a quarter of a second, and finds `answer`."""

    def __init__(self, clock: Clock, answer: Observation | QueueUnavailable) -> None:
        self._clock = clock
        self._answer = answer

    async def read(
        self, pools: Sequence[Pool], horizons: Mapping[PoolKey, float]
    ) -> Mapping[PoolKey, Observation | QueueUnavailable]:
        self._clock.now += 0.25
        return {pool.key: self._answer for pool in pools}

    def forget(self, pool: Pool) -> None:
        pass


async def test_times_the_look_and_each_pools_tick(bench: Bench) -> None:
    reader = MeasuredReader(Looks(bench.clock, seen()), bench.measures)

    await reader.read([pool("a"), pool("b")], {})
    bench.clock.now += 0.5
    bench.look(0, pool=pool("a"))
    bench.look(0, pool=pool("b"))

    assert bench.value("crewcall_observation_seconds_count") == 1
    assert bench.value("crewcall_observation_seconds_bucket", le="0.25") == 1
    assert bench.value("crewcall_tick_seconds_count") == 2
    assert bench.value("crewcall_tick_seconds_sum") == pytest.approx(1.5)
    assert bench.value("crewcall_tick_seconds_bucket", le="0.5") == 0
    assert bench.value("crewcall_tick_seconds_bucket", le="1.0") == 2


async def test_a_redis_that_cannot_be_read_counts_once_for_all_its_pools(bench: Bench) -> None:
    reader = MeasuredReader(Looks(bench.clock, SILENT), bench.measures)

    await reader.read([pool("a"), pool("b")], {})

    assert bench.value("crewcall_redis_errors_total", operation="read") == 1


class Deaf:
    """A Redis that takes no order."""

    async def give(self, *_: object) -> None:
        raise SILENT

    async def recover(self, *_: object) -> Sequence[Recovered]:
        raise SILENT

    async def recover_lapsed(self, *_: object) -> Sequence[Recovered]:
        raise SILENT


async def test_orders_and_recovery_that_fail_are_counted_and_still_fail(bench: Bench) -> None:
    orders = MeasuredOrders(Deaf(), bench.measures)

    for attempt in (orders.give(pool(), (), ()), orders.recover(pool(), ()), orders.recover_lapsed(pool())):
        with pytest.raises(QueueUnavailable):
            await attempt

    assert bench.value("crewcall_redis_errors_total", operation="order") == 1
    assert bench.value("crewcall_redis_errors_total", operation="recover") == 2


def test_requests_that_fail_are_counted_by_what_was_answered(bench: Bench) -> None:
    bench.measures.api_failed("PATCH", 503)
    bench.measures.api_failed("PATCH", None)

    assert bench.value("crewcall_api_errors_total", verb="PATCH", code="503") == 1
    assert bench.value("crewcall_api_errors_total", verb="PATCH", code="none") == 1


def test_forgets_a_pool_that_is_gone(bench: Bench) -> None:
    bench.look(0)
    bench.measures.forget(pool().key)
    bench.look(5, 1)

    assert bench.reactions == (0, 0.0)
