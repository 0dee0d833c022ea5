"""Who was ordered to drain goes on working once nobody scales the pool any more, or it is scaled elsewhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.support.pools import FREE, pool, seen
from tests.support.stage import SILENT, Stage

from crewcall_operator.api.pool import Pool
from crewcall_operator.core.observation import Observation, Pod, Worker, WorkerState
from crewcall_operator.core.policy import Mode
from crewcall_operator.errors import TargetUnavailable

DRAIN, WORK = ("b", "drain"), ("b", "run")


def two_workers(state: WorkerState = WorkerState.RUNNING, orders: str = "", ready: int = 10) -> Observation:
    """One of which is in `state`, and idle; one replica suffices for ten jobs."""
    workers = (Worker("of-a", "a", busy=1, oldest_age=1.0), Worker("of-b", "b", state))
    return replace(seen(ready), workers=workers, orders=frozenset(orders))


def with_two_pods(stage: Stage) -> Pool:
    sms = pool("sms", down=FREE, cooldown=0)
    stage.engine.put(sms)
    stage.workers.pods["sms"] = [Pod(name, is_ready=True, created=0.0) for name in "ab"]
    stage.workers.replicas["sms"] = 2
    stage.redis.answers["sms"] = two_workers()
    return sms


async def in_the_middle_of_a_drain(stage: Stage) -> Pool:
    sms = with_two_pods(stage)
    await stage.tick()
    assert stage.wire.said == [DRAIN]
    stage.redis.answers["sms"] = two_workers(WorkerState.DRAINED, orders="b")
    return sms


async def become(stage: Stage, sms: Pool, how: str) -> None:
    match how:
        case "removed":
            await stage.engine.remove(sms.key, sms.uid)
        case "suspended":
            stage.engine.suspend(sms.key)
        case "made anew":
            stage.engine.put(replace(sms, uid="uid-of-another"))
        case "moved to another Redis":
            stage.engine.put(replace(sms, generation=2, redis=replace(sms.redis, url="redis://other")))


@pytest.mark.parametrize("mode", [Mode.PAUSED, Mode.RECOMMEND])
async def test_lets_everybody_work_in_a_pool_that_is_scaled_no_more(stage: Stage, mode: Mode) -> None:
    sms = await in_the_middle_of_a_drain(stage)

    stage.engine.put(replace(sms, generation=2, policy=replace(sms.policy, mode=mode)))
    await stage.tick()

    assert (stage.wire.said, stage.workers.scaled) == ([DRAIN, WORK], [])


@pytest.mark.parametrize("how", ["removed", "suspended", "made anew", "moved to another Redis"])
async def test_withdraws_what_it_ordered_when_the_pool_is_not_the_same_any_more(stage: Stage, how: str) -> None:
    sms = await in_the_middle_of_a_drain(stage)
    stage.redis.answers.clear()

    await become(stage, sms, how)
    await stage.tick()

    assert stage.wire.said == [DRAIN, WORK]
    assert stage.wire.urls == [sms.redis.url] * 2
    assert stage.workers.released == ([sms.uid] if how == "removed" else [])


@pytest.mark.parametrize("how", ["removed", "suspended", "made anew", "moved to another Redis"])
async def test_withdraws_what_it_was_still_ordering_meanwhile(stage: Stage, how: str) -> None:
    sms = with_two_pods(stage)
    stage.wire.hanging = asyncio.Event()

    async with stage.during_a_tick(stage.wire.hanging):
        await become(stage, sms, how)

    assert stage.wire.said == [DRAIN, WORK]
    assert stage.wire.urls == [sms.redis.url] * 2
    assert stage.workers.scaled == []


async def test_withdraws_all_orders_while_the_pool_has_nothing_to_scale(stage: Stage) -> None:
    await in_the_middle_of_a_drain(stage)
    stage.workers.failing["ensure", "sms"] = TargetUnavailable("AmbiguousTarget", "another pool scales it")

    await stage.tick()

    assert stage.wire.said == [DRAIN, WORK]


async def test_withdraws_with_the_next_valid_look_what_could_not_be_withdrawn_before(stage: Stage) -> None:
    sms = await in_the_middle_of_a_drain(stage)
    stage.wire.refusing = SILENT
    stage.engine.suspend(sms.key)
    await stage.tick()

    stage.wire.refusing = None
    stage.engine.put(replace(sms, generation=3))
    stage.redis.answers["sms"] = two_workers(WorkerState.DRAINED, orders="b", ready=20)
    await stage.tick()

    assert stage.wire.said == [DRAIN, WORK]


async def test_lets_go_of_what_ran_a_pool_that_is_removed_while_it_is_suspended(stage: Stage) -> None:
    sms = await in_the_middle_of_a_drain(stage)
    stage.engine.suspend(sms.key)

    await stage.engine.remove(sms.key, sms.uid)
    await stage.engine.remove(sms.key, sms.uid)

    assert stage.workers.released == [sms.uid]
