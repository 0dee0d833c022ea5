"""A pool sized by a promise, through the real engine: what it is sized by, and what may never move it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.lives import NAME, Life
from tests.support.pools import pool
from tests.support.stage import Stage

from crewcall_operator.core.decision import Reason
from crewcall_operator.core.estimate import Basis
from crewcall_operator.core.policy import OnSaturation

STEADY_S = 300


async def steady(**words: Any) -> tuple[Life, int]:
    """A pool that has come to rest under a steady load, and its replicas."""
    life = Life(**words)
    await life.lived(STEADY_S)
    return life, life.replicas


async def test_comes_to_the_replicas_that_the_load_needs_and_says_what_it_reckons_with() -> None:
    life, replicas = await steady(rate=10.0, service=1.0)

    known = life.estimate
    assert 10.0 <= replicas * life.threads <= 16.0
    assert known.arrivals == pytest.approx(10.0, rel=0.05)
    assert known.service == pytest.approx(1.0, rel=0.1)
    assert known.startup == pytest.approx(10.0, abs=1.5)
    assert (known.threads, known.basis) == (4, Basis.COUNTED)
    assert life.last.decision is not None
    assert f"promise of 30 s ({known})" in life.last.decision.message


async def test_a_burst_calls_replicas_at_once_and_they_go_once_it_is_over() -> None:
    life, before = await steady()

    life.waiting += 400.0
    life.arrived += 400.0
    in_burst = max(await life.lived(5))
    await life.lived(200)

    assert in_burst > 2 * before
    assert life.replicas <= before + 1


async def test_moves_nothing_while_blind_and_goes_down_no_sooner_than_a_window_after() -> None:
    life, before = await steady(rate=12.0)

    life.is_away, life.rate = True, 0.0
    assert await life.lived(120) == {before}
    assert life.last.decision is not None
    assert life.last.decision.reason is Reason.REDIS_UNAVAILABLE
    life.is_away = False

    assert await life.lived(58) == {before}
    await life.lived(10)
    assert life.replicas < before


async def test_an_operator_that_starts_anew_sends_nobody_home_within_a_window_and_calls_hardly_anybody() -> None:
    life, before = await steady(rate=12.0)

    restarted = Stage(time=life.stage.time, redis=life.stage.redis, workers=life.stage.workers, wire=life.stage.wire)
    restarted.engine.put(life.pool)
    life.stage = restarted
    seen = await life.lived(58)

    assert min(seen) == before
    assert max(seen) <= before + 1


async def test_asks_for_no_more_while_pods_find_no_node() -> None:
    life, _ = await steady(nodes=3)

    life.rate = 40.0
    await life.lived(5)
    asked = life.replicas
    seen = await life.lived(60)

    assert asked > 3
    assert seen == {asked}
    assert life.last.decision is not None
    assert life.last.decision.reason is Reason.PODS_UNSCHEDULABLE
    assert life.replicas < life.most


async def test_a_rollout_moves_no_replica() -> None:
    life, before = await steady(rate=10.0, service=1.0, promise=60.0)
    assert before >= 3

    for _ in range(before):
        life.replace_pods(1)
        assert await life.lived(15) == {before}


async def test_counters_that_are_deleted_move_no_replica() -> None:
    life, before = await steady(rate=10.0)

    life.delete_counters()

    assert await life.lived(120) == {before}


async def test_one_job_that_never_ends_costs_no_more_than_a_replica() -> None:
    life, before = await steady(rate=10.0)

    life.stuck, life.arrived = 1, life.arrived + 1
    seen = await life.lived(900)

    assert min(seen) >= before
    assert max(seen) <= before + 1


async def test_a_saturated_downstream_is_told_of_and_nobody_is_sent_home_for_it() -> None:
    life, before = await steady(rate=6.0, downstream=12.0)
    assert life.estimate.saturated is None

    life.rate = 20.0
    await life.lived(240)

    rising = [replicas for _, replicas in life.story[STEADY_S:]]
    assert life.estimate.saturated is not None
    assert rising == sorted(rising)
    assert life.replicas == life.most > before


async def test_a_saturated_downstream_holds_the_replicas_where_that_is_asked_for_until_it_is_relieved() -> None:
    life, _ = await steady(rate=4.0, downstream=12.0, service=2.0, does=OnSaturation.HOLD, most=50, promise=120.0)

    life.rate = 10.0
    await life.lived(180)
    held = life.replicas
    assert held < life.most
    assert await life.lived(300) == {held}
    assert life.last.decision is not None
    assert life.last.decision.reason is Reason.DOWNSTREAM_SATURATED

    life.downstream = float("inf")
    await life.lived(120)
    assert life.replicas > held


async def test_plain_workers_are_sized_by_the_queues_alone_and_that_is_said() -> None:
    life, replicas = await steady(rate=10.0, is_plain=True, concurrency=4)

    assert life.estimate.basis is Basis.QUEUES_ALONE
    assert life.estimate.load == pytest.approx(10.0, rel=0.5)
    assert replicas * life.threads >= 10.0


async def test_plain_workers_and_producers_are_sized_by_the_queues_alone_as_well() -> None:
    life, before = await steady(rate=0.0, is_plain=True, counted_producers=False)
    assert before == 0

    life.waiting = 600.0
    await life.lived(30)
    at_work = life.replicas
    await life.lived(300)

    assert at_work > 1
    assert (life.waiting, life.replicas) == (0.0, 0)


async def test_jobs_of_plain_producers_are_seen_by_the_queues_growth() -> None:
    life, replicas = await steady(rate=10.0, counted_producers=False)

    assert life.estimate.arrivals == pytest.approx(10.0, rel=0.1)
    assert life.estimate.basis is Basis.BALANCED
    assert 10.0 <= replicas * life.threads <= 16.0


async def test_learns_from_the_workers_how_many_jobs_a_replica_runs_at_once_and_remembers_it() -> None:
    life = Life(threads=3, rate=0.0)
    life.waiting = 5.0
    await life.lived(2)
    assert life.estimate.threads == 8  # nobody has told yet
    await life.lived(20)
    assert life.estimate.threads == 3
    await life.lived(300)

    assert (life.replicas, life.estimate.threads) == (0, 3)


async def test_asks_for_delayed_jobs_that_are_due_before_a_replica_could_start() -> None:
    life, _ = await steady()

    assert life.stage.redis.horizons[-1] == {life.pool.key: pytest.approx(10.0, abs=1.5)}


async def test_is_asked_of_no_pool_that_is_sized_by_its_backlog(stage: Stage) -> None:
    stage.engine.put(pool(NAME))

    await stage.tick()

    (report,) = stage.board.reports
    assert report.estimate is None
    assert report.observation is not None
    assert report.observation.crew is None
