"""From what was seen and remembered of a pool to its replicas, with the reason.

What `behavior` means has its own table in `test_behavior.py`; whatever must hold for every policy is in
`test_decide_always.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from tests.support.pools import FREE, always, delayed, going_to, memory, pods, policy, rules, seen, unread
from tests.support.promises import counted, crew

from crewcall_operator.core.counters import Counters
from crewcall_operator.core.decide import decide, remember
from crewcall_operator.core.decision import Decision, Reason, Step
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.core.policy import Mode, OnSaturation, Policy, QueueLatency, SelectPolicy
from crewcall_operator.core.saturation import Saturated, Saturation
from crewcall_operator.core.schedule import in_force

MINUTE_DOWN = rules(window=60.0)


def lived(
    by: Policy, current: int, looks: Iterable[Observation | None], *, every: float, since: float = 0.0
) -> list[tuple[float, int, Reason]]:
    """What becomes of a pool that begins with `current` replicas and is looked at every so many seconds."""
    remembered, story = Memory.beginning(since, current), []
    for number, look in enumerate(looks):
        now = since + number * every
        decision = decide(by, look, current, remembered, now)
        remembered = remember(by, remembered, look, decision, now)
        if decision.replicas != current:
            remembered = remembered.changing(decision.replicas - current, now)
            current = decision.replicas
        story.append((now, current, decision.reason))
    return story


REACHED: dict[Reason, tuple[Policy, Observation | None, int, Memory, int]] = {
    Reason.ACTIVATED: (policy(), seen(1), 0, memory(), 1),
    Reason.BACKLOG_DRAIN: (policy(), seen(50), 2, memory(), 5),
    Reason.BACKLOG_FELL: (policy(), seen(20), 4, memory(), 2),
    Reason.STEADY_LOAD: (policy(), seen(20), 2, memory(), 2),
    Reason.DUE_SOON: (policy(), delayed(due_in=30.0), 0, memory(), 1),
    Reason.IDLE: (policy(), seen(0), 2, memory(), 0),
    Reason.COOLDOWN: (policy(cooldown=1001), seen(0), 2, memory(), 1),
    Reason.WITHIN_TOLERANCE: (policy(), seen(21), 2, memory(), 2),
    Reason.SCALE_UP_STABILIZED: (policy(up=rules(window=60)), seen(50), 2, memory(recommended={990.0: 3}), 3),
    Reason.SCALE_DOWN_STABILIZED: (policy(), seen(10), 4, memory(recommended={990.0: 3}), 3),
    Reason.SCALE_UP_LIMIT: (policy(up=rules(pods(1, 60))), seen(50), 2, memory(), 3),
    Reason.SCALE_DOWN_LIMIT: (policy(down=rules(pods(1, 60))), seen(10), 4, memory(), 3),
    Reason.TOO_FEW_REPLICAS: (policy(min=3), seen(10), 4, memory(), 3),
    Reason.TOO_MANY_REPLICAS: (policy(max=5), seen(90), 4, memory(), 5),
    Reason.PODS_UNSCHEDULABLE: (
        policy(target=QueueLatency(30)),
        counted(ready=900, crew=crew(2, pending=2, unschedulable=1)),
        4,
        memory(),
        4,
    ),
    Reason.DOWNSTREAM_SATURATED: (
        policy(target=QueueLatency(30, OnSaturation.HOLD)),
        counted(ready=900, in_flight=16, crew=crew(4, busy=16)),
        4,
        replace(memory(), saturation=Saturation(Saturated(16.0, 32.0, 12.0, 12.1))),
        4,
    ),
    Reason.SCHEDULED: (policy(schedules=(always(3),)), seen(10), 0, memory(), 3),
    Reason.PINNED: (policy(pinned=6), seen(10), 4, memory(), 6),
    Reason.PAUSED: (policy(mode=Mode.PAUSED), seen(90), 4, memory(), 4),
    Reason.WORKERS_UNREAD: (policy(), unread(seen(10)), 4, memory(), 4),
    Reason.REDIS_UNAVAILABLE: (policy(), None, 4, memory(), 4),
    Reason.FALLBACK: (policy(fallback=going_to(7, after=300)), None, 4, memory(), 7),
    Reason.TARGET_NOT_AVAILABLE: (policy(target=QueueLatency(30)), seen(90), 4, memory(), 4),
}


@pytest.mark.parametrize("reason", Reason)
def test_has_a_case_for_every_reason(reason: Reason) -> None:
    by, look, current, remembered, replicas = REACHED[reason]

    schedule = in_force(by.schedules, 1000.0)
    assert decide(by, look, current, remembered, 1000.0, schedule) == Decision(replicas, reason)


def test_tells_every_step_that_changed_the_number_in_one_order() -> None:
    by = policy(min=0, max=12, each=1, up=rules(pods(4, 60), window=60))
    remembered = memory(recommended={990.0: 30})

    assert decide(by, seen(40), 10, remembered, now=1000.0).steps == (
        Step(40, Reason.BACKLOG_DRAIN),
        Step(30, Reason.SCALE_UP_STABILIZED),
        Step(12, Reason.TOO_MANY_REPLICAS),
    )
    assert decide(by, seen(40), 7, remembered, now=1000.0).steps == (
        Step(40, Reason.BACKLOG_DRAIN),
        Step(30, Reason.SCALE_UP_STABILIZED),
        Step(11, Reason.SCALE_UP_LIMIT),
    )


def test_stabilizes_before_it_limits_the_rate_and_bounds_last() -> None:
    by = policy(min=2, max=5, each=1, down=rules(pods(1, 60), window=60))
    remembered = memory(recommended={990.0: 7})

    assert decide(by, seen(0), 9, remembered, now=1000.0).steps == (
        Step(0, Reason.IDLE),
        Step(7, Reason.SCALE_DOWN_STABILIZED),
        Step(8, Reason.SCALE_DOWN_LIMIT),
        Step(5, Reason.TOO_MANY_REPLICAS),
    )


def test_cools_down_after_the_window_and_the_rate() -> None:
    by = policy(each=1, down=rules(pods(1, 60)), cooldown=120)

    assert decide(by, seen(0), 1, memory(busy_at=990.0), now=1000.0).steps == (
        Step(0, Reason.IDLE),
        Step(1, Reason.COOLDOWN),
    )


def test_knows_what_the_target_alone_asked_for() -> None:
    assert decide(policy(max=5), seen(90), 4, memory(), now=1000.0).steps[0].replicas == 9


@pytest.mark.parametrize(
    ("now", "decision"),
    [
        (100.0, Decision(1, Reason.COOLDOWN)),
        (219.5, Decision(1, Reason.COOLDOWN)),
        (220.0, Decision(0, Reason.IDLE)),
    ],
)
def test_keeps_the_last_replica_until_the_cooldown_is_over(now: float, decision: Decision) -> None:
    by = policy(cooldown=120, down=FREE)

    assert decide(by, seen(0), 3, memory(busy_at=100.0), now) == decision


def test_does_not_start_a_replica_only_to_cool_down() -> None:
    assert decide(policy(cooldown=120), seen(0), 0, memory(busy_at=100.0), now=101.0) == Decision(0, Reason.IDLE)


def test_does_not_speak_of_a_cooldown_where_the_last_replica_stays_anyway() -> None:
    by = policy(min=1, cooldown=120, down=FREE)

    assert decide(by, seen(0), 1, memory(busy_at=100.0), now=101.0) == Decision(1, Reason.TOO_FEW_REPLICAS)


def test_goes_to_zero_a_cooldown_after_the_last_job_and_comes_back_at_once() -> None:
    by = policy(cooldown=120, down=rules(window=60))
    looks = [seen(20), *[seen(0)] * 9, seen(in_flight=1)]

    assert lived(by, 2, looks, every=20.0) == [
        (0.0, 2, Reason.STEADY_LOAD),
        (20.0, 2, Reason.SCALE_DOWN_STABILIZED),
        (40.0, 2, Reason.SCALE_DOWN_STABILIZED),
        (60.0, 1, Reason.COOLDOWN),
        (80.0, 1, Reason.COOLDOWN),
        (100.0, 1, Reason.COOLDOWN),
        (120.0, 0, Reason.IDLE),
        (140.0, 0, Reason.IDLE),
        (160.0, 0, Reason.IDLE),
        (180.0, 0, Reason.IDLE),
        (200.0, 1, Reason.ACTIVATED),
    ]


def test_stays_for_a_whole_window_after_a_restart() -> None:
    story = lived(policy(down=MINUTE_DOWN, cooldown=0), 8, [seen(0)] * 4, every=20.0)

    assert story == [
        (0.0, 8, Reason.SCALE_DOWN_STABILIZED),
        (20.0, 8, Reason.SCALE_DOWN_STABILIZED),
        (40.0, 8, Reason.SCALE_DOWN_STABILIZED),
        (60.0, 0, Reason.IDLE),
    ]


def test_holds_while_blind_and_for_a_whole_window_after_it() -> None:
    looks = [seen(80), None, None, seen(10), seen(10), seen(10), seen(10)]

    assert lived(policy(down=MINUTE_DOWN), 8, looks, every=25.0) == [
        (0.0, 8, Reason.STEADY_LOAD),
        (25.0, 8, Reason.REDIS_UNAVAILABLE),
        (50.0, 8, Reason.REDIS_UNAVAILABLE),
        (75.0, 8, Reason.SCALE_DOWN_STABILIZED),
        (100.0, 8, Reason.SCALE_DOWN_STABILIZED),
        (125.0, 1, Reason.BACKLOG_FELL),
        (150.0, 1, Reason.STEADY_LOAD),
    ]


def test_scales_up_at_once_when_redis_is_back() -> None:
    assert lived(policy(), 2, [None, None, seen(70)], every=60.0)[-1] == (120.0, 7, Reason.BACKLOG_DRAIN)


@pytest.mark.parametrize("look", [None, seen(50)])
def test_keeps_within_the_bounds_even_where_it_cannot_size(look: Observation | None) -> None:
    by = policy(min=2, max=5, target=QueueLatency(30))

    assert decide(by, look, 9, memory(), now=1e6) == Decision(5, Reason.TOO_MANY_REPLICAS)
    assert decide(by, look, 0, memory(), now=1e6) == Decision(2, Reason.TOO_FEW_REPLICAS)


@pytest.mark.parametrize(
    ("now", "decision"),
    [
        (399.5, Decision(4, Reason.REDIS_UNAVAILABLE)),
        (400.0, Decision(7, Reason.FALLBACK)),
        (9000.0, Decision(7, Reason.FALLBACK)),
    ],
)
def test_falls_back_once_redis_has_been_silent_for_long_enough(now: float, decision: Decision) -> None:
    by = policy(fallback=going_to(7, after=300))

    assert decide(by, None, 4, memory(observed_at=100.0), now) == decision


def test_falls_back_at_once_whatever_behavior_says_but_within_the_bounds() -> None:
    still = rules(window=3600, select=SelectPolicy.DISABLED)
    remembered = memory(recommended={990.0: 4})

    def fallen_back(replicas: int) -> tuple[Step, ...]:
        by = policy(min=2, max=8, up=still, down=still, fallback=going_to(replicas, after=300))
        return decide(by, None, 4, remembered, now=1000.0).steps

    assert fallen_back(6) == (Step(6, Reason.FALLBACK),)
    assert fallen_back(0) == (Step(0, Reason.FALLBACK), Step(2, Reason.TOO_FEW_REPLICAS))
    assert fallen_back(9) == (Step(9, Reason.FALLBACK), Step(8, Reason.TOO_MANY_REPLICAS))


def test_counts_the_silence_from_the_last_answer() -> None:
    by = policy(fallback=going_to(0, after=50), down=FREE, cooldown=0)

    assert lived(by, 3, [seen(30), None, None, seen(30), None, None, None], every=30.0) == [
        (0.0, 3, Reason.STEADY_LOAD),
        (30.0, 3, Reason.REDIS_UNAVAILABLE),
        (60.0, 0, Reason.FALLBACK),
        (90.0, 3, Reason.ACTIVATED),
        (120.0, 3, Reason.REDIS_UNAVAILABLE),
        (150.0, 0, Reason.FALLBACK),
        (180.0, 0, Reason.FALLBACK),
    ]


@pytest.mark.parametrize("look", [seen(90), seen(0), None])
def test_leaves_a_paused_pool_alone_whatever_is_seen_pinned_or_out_of_bounds(look: Observation | None) -> None:
    by = policy(mode=Mode.PAUSED, pinned=2, max=3, fallback=going_to(1, after=0))

    assert decide(by, look, 4, memory(), now=1000.0) == Decision(4, Reason.PAUSED)


@pytest.mark.parametrize("look", [seen(90), seen(0), None])
def test_keeps_a_pinned_pool_where_it_is_pinned_whatever_is_seen(look: Observation | None) -> None:
    by = policy(pinned=6, up=rules(pods(1, 60)), fallback=going_to(1, after=0))

    assert decide(by, look, 2, memory(busy_at=1000.0), now=1000.0) == Decision(6, Reason.PINNED)


def test_pins_a_pool_to_zero_though_there_is_work() -> None:
    assert decide(policy(pinned=0), seen(90), 4, memory(busy_at=1000.0), now=1000.0) == Decision(0, Reason.PINNED)


@pytest.mark.parametrize(
    ("pinned", "decision"),
    [(1, Decision(2, Reason.TOO_FEW_REPLICAS)), (9, Decision(5, Reason.TOO_MANY_REPLICAS))],
)
def test_pins_within_the_bounds(pinned: int, decision: Decision) -> None:
    assert decide(policy(min=2, max=5, pinned=pinned), seen(30), 3, memory(), now=1000.0) == decision


def test_goes_down_no_earlier_than_a_window_after_the_pin_is_gone() -> None:
    pinned, free = policy(pinned=6, down=MINUTE_DOWN), policy(down=MINUTE_DOWN)
    remembered = remember(pinned, memory(), seen(10), decide(pinned, seen(10), 6, memory(), 500.0), 500.0)

    assert decide(free, seen(10), 6, remembered, 559.5) == Decision(6, Reason.SCALE_DOWN_STABILIZED)
    assert decide(free, seen(10), 6, remembered, 560.0) == Decision(1, Reason.BACKLOG_FELL)


@pytest.mark.parametrize("current", [2, 5])
def test_leaves_a_pool_that_it_cannot_size_alone(current: int) -> None:
    by = policy(min=2, max=5, target=QueueLatency(30))

    assert decide(by, seen(50), current, memory(), now=1000.0) == Decision(current, Reason.TARGET_NOT_AVAILABLE)


def test_decides_for_a_pool_that_is_only_advised_what_it_would_do() -> None:
    assert decide(policy(mode=Mode.RECOMMEND), seen(50), 2, memory(), now=1000.0) == Decision(5, Reason.BACKLOG_DRAIN)


@pytest.mark.parametrize("by", [policy(), policy(max=2), policy(pinned=2), policy(max=2, target=QueueLatency(30))])
def test_takes_no_replica_away_while_it_is_not_known_what_the_workers_run(by: Policy) -> None:
    assert decide(by, unread(seen(10)), 4, memory(), now=1000.0) == Decision(4, Reason.WORKERS_UNREAD)


def test_says_why_it_keeps_the_replicas_that_the_target_asks_for_though_it_is_not_known_what_the_workers_run() -> None:
    assert decide(policy(), unread(seen(20)), 2, memory(), now=1000.0) == Decision(2, Reason.STEADY_LOAD)


def test_adds_replicas_though_it_is_not_known_what_the_workers_run() -> None:
    assert decide(policy(), unread(seen(50)), 4, memory(), now=1000.0) == Decision(5, Reason.BACKLOG_DRAIN)


@pytest.mark.parametrize(
    ("min_replicas", "max_replicas", "current", "decision"),
    [
        (3, 10, 0, Decision(3, Reason.TOO_FEW_REPLICAS)),  # bounds come before any rate
        (0, 4, 9, Decision(4, Reason.TOO_MANY_REPLICAS)),
        (2, 2, 7, Decision(2, Reason.TOO_MANY_REPLICAS)),
    ],
)
def test_comes_within_the_bounds_in_one_step(
    min_replicas: int, max_replicas: int, current: int, decision: Decision
) -> None:
    slow = rules(pods(1, 60), window=300)
    by = policy(min=min_replicas, max=max_replicas, up=slow, down=slow)

    assert decide(by, seen(50), current, memory(recommended={990.0: current}), now=1000.0) == decision


def test_remembers_what_was_asked_for_not_what_was_allowed() -> None:
    by = policy(max=5, down=MINUTE_DOWN)
    decision = decide(by, seen(90), 4, memory(), now=1000.0)

    assert remember(by, memory(), seen(90), decision, now=1000.0) == memory(
        recommended={1000.0: 9}, observed_at=1000.0, busy_at=1000.0
    )


def test_remembers_what_a_look_tells_of_the_work_and_when_it_was() -> None:
    look = Observation((QueueState("sms", counters=Counters(arrived=5, ended=5, busy=2.0)),))
    remembered = remember(policy(), memory(), look, decide(policy(), look, 0, memory(), now=1000.0), now=1000.0)

    assert remembered == memory(recommended={1000.0: 0}, observed_at=1000.0).working(look, 1000.0)


def test_remembers_of_a_blind_moment_that_the_replicas_were_kept_and_that_nobody_saw_them_idle() -> None:
    by = policy(down=MINUTE_DOWN)
    decision = decide(by, None, 4, memory(), now=1000.0)

    assert remember(by, memory(), None, decision, now=1000.0) == memory(recommended={1000.0: 4}, busy_at=1000.0)


def test_an_outage_does_not_count_towards_the_cooldown() -> None:
    by = policy(down=rules(window=0), cooldown=120)
    known = memory(recommended={0.0: 1}, observed_at=0.0, busy_at=0.0)
    for now in (1.0, 600.0):
        known = remember(by, known, None, decide(by, None, 1, known, now=now), now=now)

    assert decide(by, seen(), 1, known, now=601.0).reason is Reason.COOLDOWN
    assert decide(by, seen(), 1, known, now=720.0).replicas == 0
