"""What the engine does not know moves no replica: long outages, clocks that jump, and times in which nobody looked."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.pools import always, pool, rules, seen
from tests.support.stage import FORBIDDEN, SILENT, Stage, until

from crewcall_operator.core.decision import Reason


async def test_holds_through_ten_minutes_without_redis_and_goes_down_only_a_window_later(stage: Stage) -> None:
    stage.engine.put(pool("sms", down=rules(window=60), cooldown=0))
    stage.redis.answers["sms"] = seen(50)
    await stage.tick()
    stage.redis.answers["sms"] = SILENT
    for _ in range(1200):
        await stage.tick(passed=0.5)
    assert (stage.workers.scaled, stage.board.reasons) == ([("sms", 5)], {"sms": Reason.REDIS_UNAVAILABLE})

    stage.redis.answers["sms"] = seen()
    for _ in range(119):
        await stage.tick(passed=0.5)
    assert stage.workers.scaled == [("sms", 5)]
    await stage.tick(passed=0.5)

    assert stage.workers.scaled == [("sms", 5), ("sms", 0)]


async def test_scales_up_at_once_after_ten_minutes_without_redis(stage: Stage) -> None:
    stage.engine.put(pool("sms"))
    stage.redis.answers["sms"] = SILENT
    await stage.tick()
    await stage.tick(passed=600.0)

    stage.redis.answers["sms"] = seen(50)
    await stage.tick(passed=0.5)

    assert stage.workers.scaled == [("sms", 5)]


@pytest.mark.parametrize("jump", [-1e9, -86_400.0, -1.0, 1.0, 86_400.0, 1e9])
async def test_a_jump_of_the_clock_on_the_wall_moves_no_replica(stage: Stage, jump: float) -> None:
    stage.engine.put(pool("sms", down=rules(window=60), cooldown=60))
    stage.engine.put(pool("office", schedules=(always(3),)))
    stage.redis.answers["sms"] = seen(50)
    await stage.tick()
    stage.redis.answers["sms"] = seen()

    stage.wall.now = max(0.0, stage.wall.now + jump)
    await stage.tick(passed=59.5)

    assert sorted(stage.workers.scaled) == [("office", 3), ("sms", 5)]


@pytest.mark.parametrize("still", [6.1, 3600.0])
async def test_goes_down_only_a_window_and_a_cooldown_after_the_machine_stood_still(stage: Stage, still: float) -> None:
    """The clock goes on while a process is stopped; what was asked for meanwhile, nobody has seen."""
    stage.engine.put(pool("sms", down=rules(window=60), cooldown=90))
    stage.redis.answers["sms"] = seen(50)
    run = asyncio.create_task(stage.engine.run(interval=0.001))
    try:
        await until(lambda: stage.workers.scaled == [("sms", 5)])
        stage.redis.answers["sms"] = seen()
        stage.time.now += still
        await _looked(stage)
        assert stage.workers.scaled == [("sms", 5)]
        for _ in range(10):
            stage.time.now += 5.9
            await _looked(stage)
        assert stage.workers.scaled == [("sms", 5)]
        stage.time.now += 1.1
        await _looked(stage)
        assert stage.workers.scaled == [("sms", 5), ("sms", 1)]
        for _ in range(5):
            stage.time.now += 5.9
            await _looked(stage)
        assert stage.workers.scaled == [("sms", 5), ("sms", 1)]
        stage.time.now += 0.5
        await until(lambda: stage.workers.scaled == [("sms", 5), ("sms", 1), ("sms", 0)])
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def test_goes_down_only_a_window_after_a_target_could_be_asked_for_again(stage: Stage) -> None:
    stage.engine.put(pool("sms", down=rules(window=60), cooldown=0))
    stage.redis.answers["sms"] = seen(50)
    run = asyncio.create_task(stage.engine.run(interval=0.001))
    try:
        await until(lambda: stage.workers.scaled == [("sms", 5)])
        stage.workers.failing["ensure", "sms"] = FORBIDDEN
        stage.redis.answers["sms"] = seen()
        await _looked(stage)
        stage.time.now += 600.0
        await _looked(stage)
        del stage.workers.failing["ensure", "sms"]
        await _looked(stage)
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)

    assert stage.workers.scaled == [("sms", 5)]


async def test_an_interval_of_a_minute_is_no_gap(stage: Stage) -> None:
    stage.engine.put(pool("sms", down=rules(window=60), cooldown=0))
    stage.redis.answers["sms"] = seen(50)
    run = asyncio.create_task(stage.engine.run(interval=60.0))
    try:
        await until(lambda: stage.workers.scaled == [("sms", 5)])
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
    stage.redis.answers["sms"] = seen()

    await stage.tick(passed=60.0)

    assert stage.workers.scaled == [("sms", 5), ("sms", 0)]


async def _looked(stage: Stage) -> None:
    """Two looks have begun and ended since: what is so by now was seen."""
    before = len(stage.board.reports)
    await until(lambda: len(stage.board.reports) >= before + 2)
