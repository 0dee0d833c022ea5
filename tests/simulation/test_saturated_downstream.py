"""What tells a saturated downstream from a busy day: throughput, in every scenario that ships."""

from __future__ import annotations

import pytest
from tests.support.pools import policy

from crewcall_operator.core.model import OnSaturation, QueueLatency, Reason
from crewcall_operator.core.saturation import Saturated
from crewcall_operator.simulation.crewcall import Crewcall
from crewcall_operator.simulation.ports import Look
from crewcall_operator.simulation.scenarios import SCENARIOS
from crewcall_operator.simulation.world import simulate


class Watched(Crewcall):
    """Crewcall, and what it made of the throughput at each look."""

    def __init__(self, does: OnSaturation = OnSaturation.REPORT) -> None:
        super().__init__(policy(max=50, target=QueueLatency(30.0, does)), threads=4)
        self.verdicts: list[tuple[float, Saturated | None]] = []
        self.story: list[tuple[float, int, Reason]] = []

    def wanted(self, look: Look) -> int:
        replicas = super().wanted(look)
        assert self._memory is not None
        assert self.last is not None
        self.verdicts.append((look.at, self._memory.saturation.verdict))
        self.story.append((look.at, replicas, self.last.reason))
        return replicas

    def judged(self) -> list[float]:
        return [at for at, verdict in self.verdicts if verdict is not None]


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "rate-limited"])
def test_accuses_no_healthy_downstream(name: str) -> None:
    scenario = SCENARIOS[name](20)
    crewcall = Watched()

    simulate(scenario.trace, scenario.setting, crewcall)

    assert crewcall.judged() == []


def test_finds_the_api_that_serves_twelve_at_once_within_the_overload_and_forgets_it_after() -> None:
    scenario = SCENARIOS["rate-limited"](20)
    crewcall = Watched()

    simulate(scenario.trace, scenario.setting, crewcall)

    judged = crewcall.judged()
    assert 1200 < judged[0] < 1800
    assert judged[-1] < 2700


def test_holds_the_replicas_of_a_saturated_pool_only_where_it_is_asked_to() -> None:
    scenario = SCENARIOS["rate-limited"](20)
    reporting, holding = Watched(), Watched(OnSaturation.HOLD)

    simulate(scenario.trace, scenario.setting, reporting)
    simulate(scenario.trace, scenario.setting, holding)

    assert Reason.DOWNSTREAM_SATURATED not in {reason for _, _, reason in reporting.story}
    assert Reason.DOWNSTREAM_SATURATED in {reason for _, _, reason in holding.story}
    assert max(replicas for _, replicas, _ in holding.story) < max(replicas for _, replicas, _ in reporting.story)
