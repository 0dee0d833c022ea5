"""Pools at rest: asked about, and not looked at, until something stirs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.support.pools import pool, seen
from tests.support.stage import SILENT, Stage

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.counters import Counters
from crewcall_operator.core.decision import Decision, Reason
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Fleet, Observation, QueueState, Worker, WorkerState
from crewcall_operator.ports import Recovered, Report
from crewcall_operator.rest import FULL_LOOK, Rest

SMS = pool("sms")


@dataclass
class Redis:
    """Says what stirs, and remembers what it was asked."""

    stirs: set[PoolKey] = field(default_factory=set)
    asked: int = 0

    async def stirring(self, pools: Sequence[Pool]) -> Collection[PoolKey]:
        self.asked += 1
        return [pool.key for pool in pools if pool.key in self.stirs]


@pytest.fixture
def redis(stage: Stage) -> Redis:
    redis = Redis()
    stage.engine.rest.redis = redis
    stage.redis.answers = {"sms": seen()}
    stage.engine.put(SMS)
    return redis


async def ticks(stage: Stage, number: int = 1) -> int:
    """Full looks within so many ticks, half a second apart."""
    before = len(stage.redis.asked)
    for _ in range(number):
        stage.time.now += 0.5
        await stage.tick()
    return len(stage.redis.asked) - before


async def test_an_idle_pool_is_looked_at_once_and_then_only_asked_about(stage: Stage, redis: Redis) -> None:
    assert await ticks(stage, 10) == 1
    assert redis.asked == 9
    assert len(stage.board.reports) == 1


async def test_work_is_found_at_the_next_tick(stage: Stage, redis: Redis) -> None:
    await ticks(stage, 10)
    stage.redis.answers = {"sms": seen(10)}
    redis.stirs = {SMS.key}

    await ticks(stage)

    assert stage.workers.scaled == [("sms", 1)]


async def test_is_looked_at_in_full_now_and_then(stage: Stage, redis: Redis) -> None:
    looks = await ticks(stage, int(10 * FULL_LOOK / 0.5))

    assert 10 <= looks <= 21


@pytest.mark.parametrize("happens", ["changed", "stirred", "taken over", "removed and made anew"])
async def test_is_looked_at_when_something_happens_to_it(stage: Stage, redis: Redis, happens: str) -> None:
    await ticks(stage, 2)
    match happens:
        case "changed":
            stage.engine.put(replace(SMS, generation=2))
        case "stirred":
            stage.engine.rest.stir(SMS.key)
        case "taken over":
            stage.engine.take_over()
        case _:
            await stage.engine.remove(SMS.key, SMS.uid)
            stage.engine.put(pool("sms"))

    assert await ticks(stage) == 1


async def test_does_not_rest_on_what_was_seen_before_something_happened_during_the_look(
    stage: Stage, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure = stage.workers.ensure

    async def ensure_while_it_happens(pool: Pool) -> Fleet | None:
        fleet = await ensure(pool)
        stage.engine.rest.stir(pool.key)
        return fleet

    monkeypatch.setattr(stage.workers, "ensure", ensure_while_it_happens)

    assert await ticks(stage, 3) == 3


async def test_a_silent_redis_is_noticed_at_the_next_tick_and_was_there_until_the_last(
    stage: Stage, redis: Redis
) -> None:
    await ticks(stage, 10)
    last = stage.time.now
    stage.redis.answers = {"sms": SILENT}
    redis.stirs = {SMS.key}

    await ticks(stage)

    assert stage.board.reasons == {"sms": Reason.REDIS_UNAVAILABLE}
    assert remembered(stage).observed_at == last


async def test_a_rest_however_long_is_no_time_in_which_nobody_looked(stage: Stage, redis: Redis) -> None:
    stage.engine._roster.patience = 3.0
    await ticks(stage, 60)
    last = stage.time.now
    redis.stirs = {SMS.key}

    await ticks(stage)

    assert remembered(stage).busy_at < last - 20.0


async def test_work_that_ends_a_rest_has_come_since_the_last_look(stage: Stage, redis: Redis) -> None:
    """Not spread over the rest: that would be a much lower rate."""
    stage.redis.answers = {"sms": counted(seen(), Counters(arrived=7, ended=7, busy=7.0))}
    await ticks(stage, 10)
    last = stage.time.now
    stage.redis.answers = {"sms": counted(seen(10), Counters(arrived=17, ended=7, busy=7.0))}
    redis.stirs = {SMS.key}
    await ticks(stage)

    flow = remembered(stage).flow
    always_awake = Stage()
    always_awake.time.now = last - 4.5
    always_awake.engine.put(SMS)
    always_awake.redis.answers = {"sms": counted(seen(), Counters(arrived=7, ended=7, busy=7.0))}
    for _ in range(10):
        await always_awake.tick()
        always_awake.time.now += 0.5
    always_awake.redis.answers = stage.redis.answers
    await always_awake.tick()

    assert flow.queues["sms"].fast.per_second == pytest.approx(
        remembered(always_awake).flow.queues["sms"].fast.per_second, rel=0.05
    )


def remembered(stage: Stage) -> Memory:
    memory = stage.engine._roster.memory(SMS)
    assert memory is not None
    return memory


IDLE = Report(SMS, at=0.0, observation=seen(), fleet=Fleet(0, 0), decision=Decision(0, Reason.IDLE))
WORKER = Worker(id="a", pod="a", state=WorkerState.RUNNING)


@pytest.mark.parametrize(
    "fields",
    [
        {"observation": None},
        {"observation": seen(1)},
        {"observation": seen(in_flight=1)},
        {"observation": Observation((QueueState("sms", delayed=1),))},
        {"observation": replace(seen(), workers=(WORKER,))},
        {"observation": replace(seen(), orders=frozenset({"a"}))},
        {"observation": replace(seen(), unread=("no right",))},
        {"fleet": None},
        {"fleet": Fleet(1, 1)},
        {"fleet": Fleet(1, 0), "decision": Decision(1, Reason.TOO_FEW_REPLICAS)},
        {"decision": None},
        {"fleet": Fleet(1, 1), "decision": Decision(1, Reason.COOLDOWN)},
        {"fleet": Fleet(1, 1), "decision": Decision(1, Reason.SCALE_DOWN_STABILIZED)},
        {"unavailable": SILENT},
        {"applied": True},
        {"recovered": (Recovered("a", returned=1),)},
        {"hindered": ("no right",)},
    ],
    ids=str,
)
async def test_does_not_rest_while_there_is_anything_to_do_or_to_wait_for(fields: dict[str, Any]) -> None:
    rest = Rest(Redis(), lambda: 0.0)
    rest.consider(replace(IDLE, **fields))
    assert await rest.awake([SMS]) == [SMS]

    rest.consider(IDLE)
    assert await rest.awake([SMS]) == []


def counted(observation: Observation, counters: Counters) -> Observation:
    return replace(observation, queues=tuple(replace(queue, counters=counters) for queue in observation.queues))
