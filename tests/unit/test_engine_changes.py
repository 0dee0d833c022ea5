"""Pools that come, change and go, also while they are being looked at."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.support.pools import pods, pool, rules, seen
from tests.support.stage import Stage, settled

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.policy import Mode


async def test_lets_go_of_a_pool_that_is_gone(stage: Stage) -> None:
    sms = pool("sms")
    stage.engine.put(sms)
    await stage.tick()

    await stage.engine.remove(sms.key, sms.uid)
    await stage.tick()

    assert stage.workers.released == ["uid-of-sms"]
    assert stage.board.forgotten == [sms.key]
    assert stage.engine.pools == ()
    assert stage.redis.asked == [("sms",)]


async def test_keeps_a_pool_made_anew_when_it_hears_late_that_the_old_one_is_gone(stage: Stage) -> None:
    old, new = pool("sms"), pool("sms", uid="uid-of-another")
    stage.engine.put(old)
    stage.engine.put(new)

    await stage.engine.remove(old.key, old.uid)

    assert stage.engine.pools == (new,)
    assert stage.workers.released == []
    assert stage.board.forgotten == [old.key]  # when the new one came, and not again


@pytest.mark.parametrize("how", ["removed", "suspended", "made anew", "moved"])
async def test_has_the_reader_forget_a_pool_that_it_looks_at_no_more(stage: Stage, how: str) -> None:
    sms = pool("sms")
    stage.engine.put(sms)

    await become(stage, sms, how)

    assert stage.redis.forgotten == [sms]


async def test_has_nobody_forget_a_pool_whose_spec_has_changed(stage: Stage) -> None:
    sms = pool("sms")
    stage.engine.put(sms)

    await become(stage, sms, "paused")

    assert (stage.redis.forgotten, stage.board.forgotten) == ([], [])


async def test_leaves_the_workers_of_a_suspended_pool_alone(stage: Stage) -> None:
    sms = pool("sms")
    stage.engine.put(sms)
    stage.engine.suspend(sms.key)
    stage.engine.suspend(sms.key)

    await stage.tick()

    assert (stage.workers.released, stage.board.reports) == ([], [])


def test_knows_exactly_the_generation_that_it_scales(stage: Stage) -> None:
    sms = pool("sms")
    stage.engine.put(sms)

    assert stage.engine.knows(sms.key, sms.uid, 1)
    assert not stage.engine.knows(sms.key, sms.uid, 2)
    assert not stage.engine.knows(sms.key, "uid-of-another", 1)
    assert not stage.engine.knows(PoolKey("shop", "email"), sms.uid, 1)


async def become(stage: Stage, sms: Pool, how: str) -> None:
    match how:
        case "removed":
            await stage.engine.remove(sms.key, sms.uid)
        case "suspended":
            stage.engine.suspend(sms.key)
        case "paused":
            stage.engine.put(replace(sms, generation=2, policy=replace(sms.policy, mode=Mode.PAUSED)))
        case "made anew":
            stage.engine.put(replace(sms, uid="uid-of-another"))
        case "moved":
            stage.engine.put(replace(sms, generation=2, redis=replace(sms.redis, url="redis://other")))


@pytest.mark.parametrize("how", ["removed", "suspended", "paused", "made anew"])
async def test_does_not_scale_by_a_look_at_a_pool_that_is_no_longer_so(stage: Stage, how: str) -> None:
    sms = pool("sms")
    stage.engine.put(sms)
    stage.redis.answers["sms"] = seen(90)
    stage.redis.hanging[sms.redis.url] = asyncio.Event()

    async with stage.during_a_tick(stage.redis.hanging[sms.redis.url]):
        await become(stage, sms, how)

    assert (stage.workers.scaled, stage.board.reports) == ([], [])


@pytest.mark.parametrize("how", ["removed", "suspended", "paused", "made anew"])
async def test_does_not_scale_a_pool_that_changed_while_its_target_was_asked(stage: Stage, how: str) -> None:
    sms = pool("sms")
    stage.engine.put(sms)
    stage.redis.answers["sms"] = seen(90)
    stage.workers.hanging["ensure", "sms"] = asyncio.Event()

    async with stage.during_a_tick(stage.workers.hanging["ensure", "sms"]):
        await become(stage, sms, how)

    assert stage.workers.scaled == []
    assert not any(report.applied for report in stage.board.reports)


async def test_does_not_scale_by_what_was_seen_long_before_its_target_answered(stage: Stage) -> None:
    """The API server took its time, or this process stood still meanwhile: the queue may hold anything by now."""
    sms = pool("sms")
    stage.engine.put(sms)
    stage.redis.answers["sms"] = seen(90)
    stage.workers.hanging["ensure", "sms"] = asyncio.Event()

    async with stage.during_a_tick(stage.workers.hanging["ensure", "sms"]):
        stage.time.now += 2.5
    assert (stage.workers.scaled, [report.applied for report in stage.board.reports]) == ([], [False])

    stage.redis.answers["sms"] = seen(20)
    await stage.tick(passed=0.5)
    assert stage.workers.scaled == [("sms", 2)]


@pytest.mark.parametrize("how", ["removed", "suspended", "made anew"])
@pytest.mark.parametrize("call", ["ensure", "scale"])
async def test_says_no_more_of_a_pool_that_reporters_have_forgotten(stage: Stage, how: str, call: str) -> None:
    sms = pool("sms")
    stage.engine.put(sms)
    stage.redis.answers["sms"] = seen(90)
    stage.workers.hanging[call, "sms"] = asyncio.Event()

    async with stage.during_a_tick(stage.workers.hanging[call, "sms"]):
        await become(stage, sms, how)

    assert stage.board.reports == []


async def test_tells_of_a_change_that_was_carried_out_though_the_spec_changed_meanwhile(stage: Stage) -> None:
    sms = pool("sms", up=rules(pods(2, per=60)))
    stage.engine.put(sms)
    stage.redis.answers["sms"] = seen(90)
    stage.workers.hanging["scale", "sms"] = asyncio.Event()

    async with stage.during_a_tick(stage.workers.hanging["scale", "sms"]):
        stage.engine.put(replace(sms, generation=2))
    await stage.tick(passed=1.0)

    assert stage.workers.scaled == [("sms", 2)]  # the change counts for the new spec as well
    assert [report.applied for report in stage.board.reports] == [True, False]


async def test_moves_a_pool_off_a_redis_that_hangs(stage: Stage) -> None:
    stuck = pool("sms", redis="redis://a")
    stage.engine.put(stuck)
    stage.redis.answers["sms"] = seen(10)
    stage.redis.hanging["redis://a"] = asyncio.Event()

    async with stage.during_a_tick(stage.redis.hanging["redis://a"]):
        stage.engine.put(replace(stuck, generation=2, redis=replace(stuck.redis, url="redis://b")))
        again = asyncio.create_task(stage.engine.tick())
        await settled()
        assert stage.workers.scaled == [("sms", 1)]
    await again

    assert [report.pool.generation for report in stage.board.reports] == [2]
