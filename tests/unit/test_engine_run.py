"""The endless run: each Redis at its own pace, and nothing left behind at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.pools import pool, seen
from tests.support.stage import Stage, settled, until


@asynccontextmanager
async def running(stage: Stage, interval: float) -> AsyncIterator[None]:
    """Within this, the engine runs; it has been cancelled, and has ended, after it."""
    run = asyncio.create_task(stage.engine.run(interval))
    try:
        yield
    finally:
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run


async def test_a_target_that_hangs_does_not_hold_up_the_other_pools_of_its_tick(stage: Stage) -> None:
    for name in ("slow", "sms"):
        stage.engine.put(pool(name))
    stage.redis.answers = {"slow": seen(10), "sms": seen(10)}
    stage.workers.hanging["ensure", "slow"] = asyncio.Event()

    async with stage.during_a_tick(stage.workers.hanging["ensure", "slow"]):
        assert stage.workers.scaled == [("sms", 1)]

    assert stage.workers.scaled == [("sms", 1), ("slow", 1)]


async def test_a_redis_that_hangs_delays_its_own_pools_only(stage: Stage) -> None:
    stage.engine.put(pool("stuck", redis="redis://a"))
    stage.engine.put(pool("sms", redis="redis://b"))
    stage.redis.hanging["redis://a"] = asyncio.Event()

    async with running(stage, interval=0.001):
        await until(lambda: len(stage.board.reports) >= 3)
        assert {report.pool.key.name for report in stage.board.reports} == {"sms"}
        assert stage.redis.asked.count(("stuck",)) == 1

        stage.redis.hanging.pop("redis://a").set()
        await until(lambda: "stuck" in stage.board.reasons and stage.redis.asked.count(("stuck",)) >= 2)


async def test_notes_when_it_last_ticked_while_it_runs(stage: Stage) -> None:
    assert stage.engine.ticked_at is None

    async with running(stage, interval=60.0):
        await settled()
        assert stage.engine.ticked_at == 1000.0

    assert stage.engine.ticked_at is None


async def test_ends_every_look_when_it_is_stopped(stage: Stage) -> None:
    stage.engine.put(pool("sms"))
    stage.redis.hanging["redis://redis:6379/0"] = asyncio.Event()
    others = asyncio.all_tasks()

    async with running(stage, interval=60.0):
        await settled()
        assert asyncio.all_tasks() > others

    assert asyncio.all_tasks() == others


async def test_runs_again_after_it_was_stopped(stage: Stage) -> None:
    stage.engine.put(pool("sms"))
    stage.redis.hanging["redis://redis:6379/0"] = asyncio.Event()
    async with running(stage, interval=60.0):
        await settled()
    stage.redis.hanging.clear()

    await stage.tick()

    assert [report.pool.key.name for report in stage.board.reports] == ["sms"]


async def test_a_defect_met_with_one_pool_is_logged_and_leaves_the_others_scaled(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.engine.put(pool("odd"))
    stage.engine.put(pool("sms"))
    stage.redis.answers = {"odd": seen(name="a queue that the pool does not have"), "sms": seen(10)}

    async with running(stage, interval=0.001):
        await until(lambda: stage.workers.scaled == [("sms", 1)])
        await until(lambda: "KeyError" in caplog.text)

    assert "shop/odd was left as it is for a tick" in caplog.text


async def test_waits_for_its_interval_between_ticks(stage: Stage) -> None:
    stage.engine.put(pool("sms"))

    async with running(stage, interval=60.0):
        await settled()

    assert stage.redis.asked == [("sms",)]


@pytest.mark.parametrize("step", [59.999, 60.0, 90.0])
async def test_takes_the_time_of_a_tick_off_the_interval(stage: Stage, step: float) -> None:
    stage.time.step = step
    stage.engine.put(pool("sms"))

    async with running(stage, interval=60.0):
        await until(lambda: len(stage.redis.asked) >= 10)
