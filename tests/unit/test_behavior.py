"""`behavior` means what the HPA's means: cases worked by hand from the HPA's own rules.

The rules are in kubernetes/pkg/controller/podautoscaler/horizontal.go (getReplicasChangePerPeriod,
calculateScaleUpLimitWithScalingRules, calculateScaleDownLimitWithBehaviors, convertDesiredReplicasWithBehaviorRate,
stabilizeRecommendationWithBehaviors). All cases are at second 1000, with one replica wanted for each job.
`tests/unit/test_hpa.py` compares whole histories.
"""

from __future__ import annotations

import pytest
from tests.support.pools import FREE, memory, percent, pods, policy, rules, seen

from crewcall_operator.core.decide import decide
from crewcall_operator.core.decision import Decision, Reason
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.policy import Behavior, Policy, ScalingPolicy, ScalingRules, SelectPolicy

NOW = 1000.0

FEWEST = SelectPolicy.MIN
MOST = SelectPolicy.MAX
DISABLED = SelectPolicy.DISABLED

UP_LIMITED = Reason.SCALE_UP_LIMIT
UP_STABILIZED = Reason.SCALE_UP_STABILIZED
DOWN_LIMITED = Reason.SCALE_DOWN_LIMIT
DOWN_STABILIZED = Reason.SCALE_DOWN_STABILIZED


def scaled(up: ScalingRules = FREE, down: ScalingRules = FREE, *, least: int = 0, most: int = 100) -> Policy:
    return policy(min=least, max=most, each=1, up=up, down=down, cooldown=0)


def decided(by: Policy, current: int, wanted: int, remembered: Memory) -> Decision:
    return decide(by, seen(wanted), current, remembered, NOW)


@pytest.mark.parametrize(
    ("up", "current", "wanted", "changed", "expected", "reason"),
    [
        # Pods: the replicas when the period began, plus the value.
        ([pods(4, 60)], 10, 20, {}, 14, UP_LIMITED),  # 10 + 4
        ([pods(4, 60)], 10, 14, {}, 14, Reason.BACKLOG_DRAIN),  # as many as allowed: nothing was held back
        ([pods(4, 60)], 10, 12, {}, 12, Reason.BACKLOG_DRAIN),
        ([pods(4, 60)], 10, 20, {970.0: +3}, 11, UP_LIMITED),  # it began at 7: 7 + 4
        ([pods(4, 60)], 10, 20, {970.0: +4}, 10, UP_LIMITED),  # 6 + 4: used up
        ([pods(4, 60)], 10, 20, {970.0: +6}, 10, UP_LIMITED),  # 4 + 4 = 8, but an up never goes down
        ([pods(4, 60)], 10, 20, {940.0: +4}, 14, UP_LIMITED),  # exactly a period old: over
        ([pods(4, 60)], 10, 20, {940.5: +4}, 10, UP_LIMITED),  # half a second younger: counts
        ([pods(4, 60)], 10, 20, {900.0: +4, 950.0: +1, 980.0: +2}, 11, UP_LIMITED),  # 10 - 3 + 4
        ([pods(4, 60)], 10, 20, {970.0: -3}, 17, UP_LIMITED),  # it began at 13: 13 + 4
        ([pods(4, 60)], 10, 20, {950.0: +5, 980.0: -2}, 11, UP_LIMITED),  # 10 - 5 + 2 + 4
        # Percent: of the replicas when the period began, rounded up.
        ([percent(100, 15)], 5, 50, {}, 10, UP_LIMITED),
        ([percent(10, 15)], 5, 50, {}, 6, UP_LIMITED),  # 5.5
        ([percent(1, 15)], 1, 50, {}, 2, UP_LIMITED),  # 1.01: always at least one more
        ([percent(50, 15)], 9, 50, {990.0: +3}, 9, UP_LIMITED),  # it began at 6: 6 x 1.5 = 9
        ([percent(50, 15)], 9, 50, {990.0: -3}, 18, UP_LIMITED),  # it began at 12: 12 x 1.5 = 18
        ([percent(50, 15)], 9, 50, {985.0: +3}, 14, UP_LIMITED),  # the period is over: 9 x 1.5 = 13.5
        ([percent(300, 15)], 2, 50, {}, 8, UP_LIMITED),
        ([percent(10, 15)], 10, 50, {}, 11, UP_LIMITED),
        ([percent(10, 15)], 50, 90, {}, 56, UP_LIMITED),  # 50 x 1.1 is 55.00000000000001, for the HPA as well
        # Several policies, each with its own period.
        ([pods(4, 60), percent(100, 60)], 10, 50, {}, 20, UP_LIMITED),  # the most of 14 and 20
        ([pods(4, 60), percent(100, 60)], 2, 50, {}, 6, UP_LIMITED),  # the most of 6 and 4
        ([pods(4, 60), percent(50, 15)], 10, 50, {970.0: +4}, 15, UP_LIMITED),  # the most of 6 + 4 and 10 x 1.5
        # From zero a percentage is nothing, yet one replica is admitted (docs/adr/0003).
        ([percent(100, 15)], 0, 50, {}, 1, UP_LIMITED),
        ([pods(4, 15)], 0, 50, {}, 4, UP_LIMITED),
        ([pods(4, 60)], 0, 50, {970.0: +4, 980.0: -4}, 4, UP_LIMITED),
        ([pods(4, 60)], 0, 50, {970.0: +6}, 1, UP_LIMITED),  # somebody else took them away: 0 - 6 + 4
        # No policies: no limit but maxReplicas.
        ([], 1, 99, {990.0: +1}, 99, Reason.BACKLOG_DRAIN),
        ([], 0, 99, {}, 99, Reason.ACTIVATED),
    ],
)
def test_scales_up_no_faster_than_the_policies_admit(
    up: list[ScalingPolicy], current: int, wanted: int, changed: dict[float, int], expected: int, reason: Reason
) -> None:
    limited = scaled(up=rules(*up))

    assert decided(limited, current, wanted, memory(changed=changed)) == Decision(expected, reason)


@pytest.mark.parametrize(
    ("down", "current", "wanted", "changed", "expected", "reason"),
    [
        ([pods(2, 60)], 10, 0, {}, 8, DOWN_LIMITED),  # 10 - 2
        ([pods(2, 60)], 10, 8, {}, 8, Reason.BACKLOG_FELL),
        ([pods(2, 60)], 10, 9, {}, 9, Reason.BACKLOG_FELL),
        ([pods(2, 60)], 10, 0, {970.0: -1}, 9, DOWN_LIMITED),  # it began at 11: 11 - 2
        ([pods(2, 60)], 10, 0, {970.0: -2}, 10, DOWN_LIMITED),  # used up
        ([pods(2, 60)], 10, 0, {970.0: -5}, 10, DOWN_LIMITED),  # 15 - 2 = 13, but a down never goes up
        ([pods(2, 60)], 10, 0, {940.0: -2}, 8, DOWN_LIMITED),  # exactly a period old: over
        ([pods(2, 60)], 10, 0, {940.5: -2}, 10, DOWN_LIMITED),
        ([pods(2, 60)], 10, 0, {970.0: +3}, 5, DOWN_LIMITED),  # it began at 7: 7 - 2
        ([pods(2, 60)], 10, 0, {950.0: -3, 980.0: +2}, 9, DOWN_LIMITED),  # it began at 11
        # Percent, rounded towards zero.
        ([percent(100, 15)], 10, 0, {}, 0, Reason.IDLE),
        ([percent(10, 15)], 15, 0, {}, 13, DOWN_LIMITED),  # 13.5
        ([percent(50, 15)], 3, 0, {}, 1, DOWN_LIMITED),  # 1.5
        ([percent(10, 15)], 1, 0, {}, 0, Reason.IDLE),  # 0.9: always at least one fewer
        ([percent(50, 15)], 8, 0, {990.0: -4}, 6, DOWN_LIMITED),  # it began at 12
        ([percent(50, 15)], 8, 0, {990.0: +4}, 2, DOWN_LIMITED),  # it began at 4
        ([percent(50, 15)], 8, 0, {985.0: +4}, 4, DOWN_LIMITED),  # the period is over
        ([percent(80, 15)], 10, 0, {}, 1, DOWN_LIMITED),  # 10 x (1 - 0.8) is 1.9999999999999996, for the HPA as well
        ([percent(200, 15)], 8, 3, {}, 3, Reason.BACKLOG_FELL),
        # Several.
        ([pods(4, 60), percent(10, 60)], 10, 0, {}, 6, DOWN_LIMITED),  # the furthest of 6 and 9
        ([pods(4, 60), percent(50, 60)], 10, 0, {}, 5, DOWN_LIMITED),  # the furthest of 6 and 5
        ([pods(4, 60), percent(10, 15)], 10, 0, {970.0: -4}, 9, DOWN_LIMITED),  # the furthest of 14 - 4 and 9
        ([], 99, 1, {990.0: -1}, 1, Reason.BACKLOG_FELL),
    ],
)
def test_scales_down_no_faster_than_the_policies_admit(
    down: list[ScalingPolicy], current: int, wanted: int, changed: dict[float, int], expected: int, reason: Reason
) -> None:
    limited = scaled(down=rules(*down))

    assert decided(limited, current, wanted, memory(changed=changed)) == Decision(expected, reason)


@pytest.mark.parametrize(
    ("select", "policies", "up", "down"),
    [
        (MOST, [pods(4, 60), percent(100, 60)], 20, 0),  # up to the most of 14 and 20, down to the least of 6 and 0
        (FEWEST, [pods(4, 60), percent(100, 60)], 14, 6),
        (MOST, [pods(4, 60), percent(10, 60)], 14, 6),  # 14 or 11, 6 or 9
        (FEWEST, [pods(4, 60), percent(10, 60)], 11, 9),
        (FEWEST, [pods(4, 60)], 14, 6),
        (FEWEST, [], 99, 0),
        (DISABLED, [pods(4, 60), percent(100, 60)], 10, 10),
        (DISABLED, [], 10, 10),
    ],
)
def test_selects_among_several_policies(
    select: SelectPolicy, policies: list[ScalingPolicy], up: int, down: int
) -> None:
    both = rules(*policies, select=select)
    limited = scaled(up=both, down=both)

    assert decided(limited, 10, 99, memory()).replicas == up
    assert decided(limited, 10, 0, memory()).replicas == down


def test_never_leaves_zero_where_scaling_up_is_disabled() -> None:
    limited = scaled(up=rules(select=DISABLED))

    assert decided(limited, 0, 30, memory()) == Decision(0, UP_LIMITED)


def test_blames_the_bounds_where_they_are_as_narrow_as_the_policies() -> None:
    limited = scaled(up=rules(pods(4, 60)), down=rules(pods(4, 60)), least=6, most=14)

    assert decided(limited, 10, 20, memory()) == Decision(14, Reason.TOO_MANY_REPLICAS)
    assert decided(limited, 10, 0, memory()) == Decision(6, Reason.TOO_FEW_REPLICAS)
    assert decided(limited, 9, 20, memory()) == Decision(13, UP_LIMITED)
    assert decided(limited, 11, 0, memory()) == Decision(7, DOWN_LIMITED)


def test_blames_the_bounds_where_there_are_no_policies() -> None:
    limited = scaled(least=2, most=14)

    assert decided(limited, 10, 15, memory()) == Decision(14, Reason.TOO_MANY_REPLICAS)
    assert decided(limited, 10, 1, memory()) == Decision(2, Reason.TOO_FEW_REPLICAS)


@pytest.mark.parametrize(
    ("window", "current", "wanted", "recommended", "expected", "reason"),
    [
        (60, 10, 20, {}, 20, Reason.BACKLOG_DRAIN),
        (60, 10, 20, {950.0: 12, 970.0: 15}, 12, UP_STABILIZED),  # the fewest of 12, 15 and 20
        (60, 10, 20, {950.0: 25}, 20, Reason.BACKLOG_DRAIN),  # what is wanted now counts as well
        (60, 10, 20, {940.0: 12, 970.0: 15}, 15, UP_STABILIZED),  # exactly as old as the window: does not count
        (60, 10, 20, {940.5: 12, 970.0: 15}, 12, UP_STABILIZED),
        (60, 10, 20, {970.0: 4}, 10, UP_STABILIZED),  # fewer than there are: stay
        (0, 10, 20, {999.5: 4, 1000.0: 4}, 20, Reason.BACKLOG_DRAIN),
        (60, 0, 20, {970.0: 0}, 0, UP_STABILIZED),  # leaving zero waits like any other step up
    ],
)
def test_scales_up_only_to_the_fewest_of_the_window(
    window: float, current: int, wanted: int, recommended: dict[float, int], expected: int, reason: Reason
) -> None:
    limited = scaled(up=rules(window=window))

    assert decided(limited, current, wanted, memory(recommended=recommended)) == Decision(expected, reason)


@pytest.mark.parametrize(
    ("window", "current", "wanted", "recommended", "expected", "reason"),
    [
        (300, 10, 3, {}, 3, Reason.BACKLOG_FELL),
        (300, 10, 3, {800.0: 9, 900.0: 7}, 9, DOWN_STABILIZED),  # the most of 9, 7 and 3
        (300, 10, 3, {900.0: 2}, 3, Reason.BACKLOG_FELL),
        (300, 10, 3, {700.0: 9, 900.0: 7}, 7, DOWN_STABILIZED),  # exactly as old as the window: does not count
        (300, 10, 3, {700.5: 9, 900.0: 7}, 9, DOWN_STABILIZED),
        (300, 10, 3, {900.0: 30}, 10, DOWN_STABILIZED),  # more than there are: stay
        (0, 10, 3, {999.5: 9, 1000.0: 9}, 3, Reason.BACKLOG_FELL),
        (300, 10, 0, {900.0: 10}, 10, DOWN_STABILIZED),
    ],
)
def test_scales_down_only_to_the_most_of_the_window(
    window: float, current: int, wanted: int, recommended: dict[float, int], expected: int, reason: Reason
) -> None:
    limited = scaled(down=rules(window=window))

    assert decided(limited, current, wanted, memory(recommended=recommended)) == Decision(expected, reason)


@pytest.mark.parametrize(
    ("current", "wanted", "expected", "reason"),
    [
        (10, 12, 10, UP_STABILIZED),  # up only to the 8 of second 950
        (10, 10, 10, Reason.STEADY_LOAD),
        (10, 9, 10, DOWN_STABILIZED),  # down only to the 20 of second 800
        (6, 12, 8, UP_STABILIZED),
        (25, 12, 20, DOWN_STABILIZED),
        (25, 30, 25, UP_STABILIZED),
    ],
)
def test_keeps_a_window_for_each_direction(current: int, wanted: int, expected: int, reason: Reason) -> None:
    limited = scaled(up=rules(window=60), down=rules(window=300))
    remembered = memory(recommended={800.0: 20, 950.0: 8})

    assert decided(limited, current, wanted, remembered) == Decision(expected, reason)


def test_limits_the_rate_of_what_the_window_left() -> None:
    limited = scaled(up=rules(pods(1, 60), window=60), down=rules(pods(1, 60), window=60), least=1, most=100)
    remembered = memory(recommended={970.0: 15})

    assert decided(limited, 10, 20, remembered) == Decision(11, UP_LIMITED)
    assert decided(limited, 20, 10, remembered) == Decision(19, DOWN_LIMITED)


def test_goes_up_at_once_and_down_after_a_minute_unless_told_otherwise() -> None:
    assert Behavior() == Behavior(
        scale_up=ScalingRules(stabilization=0.0, policies=(), select=MOST, tolerance=0.1),
        scale_down=ScalingRules(stabilization=60.0, policies=(), select=MOST, tolerance=0.1),
    )
