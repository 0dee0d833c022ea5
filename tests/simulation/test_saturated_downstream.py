"""What tells a saturated downstream from a busy day: throughput, in every scenario that ships."""

from __future__ import annotations

import pytest
from tests.support.stories import Watched, scenario, told

from crewcall_operator.core.decision import Reason
from crewcall_operator.core.policy import OnSaturation
from crewcall_operator.simulation.scenarios import SCENARIOS
from crewcall_operator.simulation.world import simulate


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "rate-limited"])
def test_accuses_no_healthy_downstream(name: str) -> None:
    _, crewcall = told(name)

    assert crewcall.judged() == []


def test_finds_the_api_that_serves_twelve_at_once_within_the_overload_and_forgets_it_after() -> None:
    _, crewcall = told("rate-limited")

    judged = crewcall.judged()
    assert 1200 < judged[0] < 1800
    assert judged[-1] < 2700


def test_holds_the_replicas_of_a_saturated_pool_only_where_it_is_asked_to() -> None:
    (_, reporting), holding = told("rate-limited"), Watched(does=OnSaturation.HOLD)

    simulate(*scenario("rate-limited"), holding)

    assert Reason.DOWNSTREAM_SATURATED not in {reason for _, _, reason in reporting.story}
    assert Reason.DOWNSTREAM_SATURATED in {reason for _, _, reason in holding.story}
    assert holding.most() < reporting.most()
