"""An engine that does not lead: it sees and remembers everything, and touches nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Sequence

import pytest
from tests.support.pools import pods, pool, rules, seen
from tests.support.stage import Stage, settled, until

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.decision import Reason


class Leading:
    """A leadership that is given and taken."""

    left = 0.0

    def __call__(self) -> float:
        return self.left


class Quiet:
    """A Redis in which there is nothing at all."""

    async def stirring(self, pools: Sequence[Pool]) -> Collection[PoolKey]:
        return []


@pytest.fixture
def leading(stage: Stage) -> Leading:
    leading = stage.engine.leadership = Leading()
    return leading


async def test_scales_and_reports_nothing_while_another_leads(stage: Stage, leading: Leading) -> None:
    stage.engine.put(pool("sms"))
    stage.redis.answers = {"sms": seen(100)}

    await stage.tick()

    assert (stage.redis.asked, stage.workers.scaled, stage.board.reports) == ([("sms",)], [], [])


async def test_scales_with_its_first_look_as_the_leader(stage: Stage, leading: Leading) -> None:
    stage.engine.put(pool("sms"))
    stage.redis.answers = {"sms": seen(100)}
    await stage.tick()

    leading.left = math.inf
    await stage.tick()

    assert stage.workers.scaled == [("sms", 10)]


async def test_remembers_what_was_wanted_while_another_led(stage: Stage, leading: Leading) -> None:
    stage.engine.put(pool("sms", down=rules(window=60.0)))
    stage.workers.replicas["sms"] = 8
    stage.redis.answers = {"sms": seen(80)}
    await stage.tick()
    stage.time.now += 30.0
    stage.redis.answers = {"sms": seen(20)}

    leading.left = math.inf
    await stage.tick()

    assert (stage.workers.scaled, stage.board.reasons) == ([], {"sms": Reason.SCALE_DOWN_STABILIZED})


async def test_keeps_what_the_leader_added_for_jobs_that_nobody_else_has_seen(stage: Stage, leading: Leading) -> None:
    stage.engine.put(pool("sms", down=rules(window=60.0), cooldown=0.0))
    stage.redis.answers = {"sms": seen(0)}
    await stage.tick()
    stage.workers.replicas["sms"] = 5  # by the one that led, and the jobs are done

    leading.left = math.inf
    await stage.tick(passed=1.0)
    assert (stage.workers.scaled, stage.board.reasons) == ([], {"sms": Reason.SCALE_DOWN_STABILIZED})
    await stage.tick(passed=60.0)

    assert stage.workers.scaled == [("sms", 0)]


async def test_keeps_what_another_added_to_a_pool_at_rest_between_two_terms(stage: Stage, leading: Leading) -> None:
    stage.engine.rest.redis = Quiet()
    stage.engine.put(pool("sms", down=rules(window=60.0), cooldown=0.0))
    stage.redis.answers = {"sms": seen(0)}
    leading.left = math.inf
    stage.engine.take_over()
    await stage.tick()

    leading.left = 0.0
    stage.workers.replicas["sms"] = 5  # by the one that led, and the jobs are done
    await stage.tick(passed=1.0)
    leading.left = math.inf
    stage.engine.take_over()
    await stage.tick(passed=1.0)

    assert (stage.workers.scaled, stage.board.reasons) == ([], {"sms": Reason.SCALE_DOWN_STABILIZED})


async def test_forgets_nothing_that_it_saw_where_the_leader_goes_up_step_by_step(
    stage: Stage, leading: Leading
) -> None:
    stage.engine.put(pool("sms", up=rules(window=60.0)))
    stage.workers.replicas["sms"] = 5
    stage.redis.answers = {"sms": seen(100)}
    for passed in (0.0, 30.0, 31.0):
        await stage.tick(passed)
    stage.workers.replicas["sms"] = 6  # by the one that led

    leading.left = math.inf
    await stage.tick(passed=1.0)

    assert stage.workers.scaled == [("sms", 10)]


async def test_counts_the_leaders_changes_towards_the_pace_that_is_allowed(stage: Stage, leading: Leading) -> None:
    stage.engine.put(pool("sms", up=rules(pods(4, per=60.0))))
    stage.redis.answers = {"sms": seen(100)}
    await stage.tick()
    stage.workers.replicas["sms"] = 3  # by the one that leads
    await stage.tick()

    leading.left = math.inf
    await stage.tick()

    assert stage.workers.scaled == [("sms", 4)]


async def test_does_not_scale_once_it_stops_leading_in_the_middle_of_a_tick(stage: Stage, leading: Leading) -> None:
    leading.left = math.inf
    stage.engine.put(pool("sms"))
    stage.redis.answers = {"sms": seen(100)}
    stage.workers.hanging["ensure", "sms"] = asyncio.Event()

    async with stage.during_a_tick(stage.workers.hanging["ensure", "sms"]):
        leading.left = 0.0

    assert (stage.workers.scaled, stage.board.reports) == ([], [])


async def test_ignores_hints_while_another_leads(stage: Stage, leading: Leading) -> None:
    stage.engine.put(pool("sms"))
    run = asyncio.create_task(stage.engine.run(60.0))
    await settled()
    stage.engine.hint("redis://redis:6379/0", [pool("sms").key])
    await settled()
    assert stage.redis.asked == [("sms",)]

    leading.left = math.inf
    stage.engine.take_over()
    await until(lambda: stage.redis.asked == [("sms",), ("sms",)])

    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_looks_at_leisure_while_another_leads_and_at_its_pace_when_it_does(
    stage: Stage, leading: Leading
) -> None:
    stage.time.step = 0.01  # by which the clock goes on each time it is read
    stage.engine.put(pool("sms"))
    run = asyncio.create_task(stage.engine.run(0.001))
    await until(lambda: len(stage.redis.asked) >= 3)
    assert stage.time.now >= 1004.0

    leading.left, stage.time.step = math.inf, 0.0  # at leisure it would not look again before the clock goes on
    looks = len(stage.redis.asked)
    await until(lambda: len(stage.redis.asked) >= looks + 3)

    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
