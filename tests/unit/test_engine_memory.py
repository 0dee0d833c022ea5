"""What the engine remembers of a pool from tick to tick, and when it forgets it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.support.pools import pods, pool, rules, seen
from tests.support.stage import FORBIDDEN, Stage

from crewcall_operator.core.decision import Reason
from crewcall_operator.core.policy import Mode


async def test_remembers_the_changes_that_were_carried_out(stage: Stage) -> None:
    stage.engine.put(pool("sms", up=rules(pods(2, per=60))))
    stage.redis.answers["sms"] = seen(90)

    for passed in (0.0, 30.0, 29.5, 0.5):
        await stage.tick(passed)

    assert stage.workers.scaled == [("sms", 2), ("sms", 4)]  # at 0 s and, the period being over, at 60 s


async def test_remembers_replicas_taken_away_as_well(stage: Stage) -> None:
    stage.engine.put(pool("sms", down=rules(pods(2, per=60))))
    stage.workers.replicas["sms"] = 9

    for passed in (0.0, 30.0, 29.5, 0.5):
        await stage.tick(passed)

    assert stage.workers.scaled == [("sms", 7), ("sms", 5)]


async def test_does_not_remember_a_change_that_failed(stage: Stage) -> None:
    stage.engine.put(pool("sms", up=rules(pods(2, per=60))))
    stage.redis.answers["sms"] = seen(90)
    stage.workers.failing["scale", "sms"] = FORBIDDEN
    await stage.tick()
    stage.workers.failing.clear()

    await stage.tick(passed=1.0)

    assert stage.workers.scaled == [("sms", 2)]


async def test_does_not_remember_a_change_that_was_only_advised(stage: Stage) -> None:
    advised = pool("sms", mode=Mode.RECOMMEND, up=rules(pods(2, per=60)))
    stage.engine.put(advised)
    stage.redis.answers["sms"] = seen(90)
    await stage.tick()
    stage.engine.put(replace(advised, policy=replace(advised.policy, mode=Mode.AUTO)))

    await stage.tick(passed=1.0)

    assert stage.workers.scaled == [("sms", 2)]


async def test_remembers_a_change_from_when_it_was_accepted(stage: Stage) -> None:
    stage.engine.put(pool("sms", up=rules(pods(2, per=60))))
    stage.redis.answers["sms"] = seen(90)
    stage.workers.hanging["scale", "sms"] = asyncio.Event()

    async with stage.during_a_tick(stage.workers.hanging["scale", "sms"]):
        stage.time.now += 20.0
    await stage.tick(passed=59.5)
    assert stage.workers.scaled == [("sms", 2)]
    await stage.tick(passed=0.5)

    assert stage.workers.scaled == [("sms", 2), ("sms", 4)]


async def test_goes_down_only_a_window_after_it_began_with_a_pool(stage: Stage) -> None:
    stage.engine.put(pool("sms", down=rules(window=60), cooldown=0))
    stage.workers.replicas["sms"] = 4

    await stage.tick()
    await stage.tick(passed=59.5)
    assert stage.workers.scaled == []
    await stage.tick(passed=0.5)

    assert stage.workers.scaled == [("sms", 0)]


async def test_keeps_the_memory_of_a_pool_whose_spec_changed(stage: Stage) -> None:
    before = pool("sms", down=rules(window=60), cooldown=0)
    stage.engine.put(before)
    stage.workers.replicas["sms"] = 4
    await stage.tick()

    stage.engine.put(replace(before, generation=2))
    await stage.tick(passed=60.0)

    assert stage.workers.scaled == [("sms", 0)]


@pytest.mark.parametrize("how", ["removed", "suspended", "made anew"])
async def test_drops_the_memory_with_the_pool(stage: Stage, how: str) -> None:
    sms = pool("sms", down=rules(window=60), cooldown=0)
    stage.engine.put(sms)
    stage.workers.replicas["sms"] = 4
    await stage.tick()
    if how == "removed":
        await stage.engine.remove(sms.key, sms.uid)
    elif how == "suspended":
        stage.engine.suspend(sms.key)

    stage.engine.put(replace(sms, uid="uid-of-another") if how == "made anew" else sms)
    await stage.tick(passed=60.0)

    assert stage.workers.scaled == []
    assert stage.board.reasons == {"sms": Reason.SCALE_DOWN_STABILIZED}


async def test_begins_anew_with_a_pool_that_comes_back_after_another_had_its_name(stage: Stage) -> None:
    sms = pool("sms", down=rules(window=60), cooldown=0)
    stage.engine.put(sms)
    stage.workers.replicas["sms"] = 4
    await stage.tick()
    stage.engine.put(replace(sms, uid="uid-of-another"))
    stage.engine.put(sms)

    await stage.tick(passed=60.0)

    assert stage.workers.scaled == []


async def test_remembers_nothing_of_a_pool_that_was_suspended_while_its_target_was_asked(stage: Stage) -> None:
    sms = pool("sms", down=rules(window=60), cooldown=0)
    stage.engine.put(sms)
    stage.workers.replicas["sms"] = 4
    stage.workers.hanging["ensure", "sms"] = asyncio.Event()
    async with stage.during_a_tick(stage.workers.hanging["ensure", "sms"]):
        stage.engine.suspend(sms.key)
    stage.engine.put(sms)

    await stage.tick(passed=60.0)

    assert stage.workers.scaled == []
