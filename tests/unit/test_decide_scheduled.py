"""What a schedule does to a decision: it calls replicas without work, and what it called goes as after work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.pools import always, going_to, memory, pods, policy, pool, rules, seen
from tests.support.stage import Stage

from crewcall_operator.core.decide import decide, remember
from crewcall_operator.core.decision import Decision, Reason, Step
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Observation
from crewcall_operator.core.policy import Mode, Policy, QueueLatency
from crewcall_operator.core.schedule import Schedule

THREE = always(3)


def test_wakes_a_pool_at_zero() -> None:
    assert decide(policy(), seen(), 0, memory(), 1000.0, THREE) == Decision(3, Reason.SCHEDULED)


def test_asks_for_nothing_where_there_is_work_for_more() -> None:
    assert decide(policy(), seen(50), 4, memory(), 1000.0, THREE) == Decision(5, Reason.BACKLOG_DRAIN)


def test_comes_before_behavior_and_bounds() -> None:
    by = policy(min=5, max=9, up=rules(pods(1, 60)))

    assert decide(by, seen(), 0, memory(), 1000.0, THREE).steps == (
        Step(0, Reason.IDLE),
        Step(3, Reason.SCHEDULED),
        Step(1, Reason.SCALE_UP_LIMIT),
        Step(5, Reason.TOO_FEW_REPLICAS),
    )


@pytest.mark.parametrize(
    ("by", "look", "current", "decision"),
    [
        pytest.param(policy(pinned=1), seen(), 4, Decision(1, Reason.PINNED), id="a pin is above it"),
        pytest.param(policy(mode=Mode.PAUSED), seen(), 1, Decision(1, Reason.PAUSED), id="a pause too"),
        pytest.param(policy(), None, 1, Decision(3, Reason.SCHEDULED), id="it is kept while Redis is silent"),
        pytest.param(policy(), None, 6, Decision(6, Reason.REDIS_UNAVAILABLE), id="which lowers nothing"),
        pytest.param(
            policy(fallback=going_to(1, after=60)), None, 6, Decision(3, Reason.SCHEDULED), id="above a fallback"
        ),
        pytest.param(
            policy(target=QueueLatency(30)), seen(9), 1, Decision(3, Reason.SCHEDULED), id="without any counters"
        ),
    ],
)
def test_stands_between_a_fallback_and_a_pin(
    by: Policy, look: Observation | None, current: int, decision: Decision
) -> None:
    assert decide(by, look, current, memory(), 1000.0, THREE) == decision


def test_lets_its_replicas_go_after_the_window_and_the_cooldown_like_those_of_work() -> None:
    by, remembered, current, story = policy(cooldown=120.0), Memory.beginning(0.0, 0), 0, []
    for now in range(0, 400, 10):
        decision = decide(by, seen(), current, remembered, float(now), THREE if 100 <= now < 200 else None)
        remembered = remember(by, remembered, seen(), decision, float(now))
        if decision.replicas != current:
            remembered = remembered.changing(decision.replicas - current, float(now))
            current = decision.replicas
            story.append((now, current, decision.reason))

    assert story == [(100, 3, Reason.SCHEDULED), (250, 1, Reason.COOLDOWN), (310, 0, Reason.IDLE)]


@given(least=st.integers(0, 10), jobs=st.none() | st.integers(0, 500), current=st.integers(0, 10))
def test_never_has_fewer_than_the_schedule_where_nothing_holds_back(least: int, jobs: int | None, current: int) -> None:
    schedule = Schedule("any", "* * * * *", "0 0 29 2 *", least)
    look = None if jobs is None else seen(jobs)

    decision = decide(policy(max=10), look, current, memory(), 1000.0, schedule)

    assert decision.replicas >= least


async def test_the_engine_goes_by_the_clock_on_the_wall(stage: Stage) -> None:
    night = Schedule("night", "0 22 * * *", "0 6 * * *", 2)
    stage.engine.put(pool("sms", schedules=(night,)))
    stage.workers.replicas["sms"] = 0

    stage.wall.now = 21 * 3600.0
    await stage.tick()
    before = stage.workers.replicas["sms"]
    stage.wall.now = 22 * 3600.0
    await stage.tick(1.0)

    assert (before, stage.workers.replicas["sms"]) == (0, 2)
    assert stage.board.reasons == {"sms": Reason.SCHEDULED}
