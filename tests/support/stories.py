"""Crewcall through whole stories in the simulator, and what it made of each look.

The scenarios that ship take seconds each to compute, so `told` tells each but once: several tests look at the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from tests.support.pools import policy

from crewcall_operator.core.decision import Reason
from crewcall_operator.core.policy import OnSaturation, QueueLatency
from crewcall_operator.core.saturation import Saturated
from crewcall_operator.simulation.crewcall import Crewcall
from crewcall_operator.simulation.outcome import Outcome
from crewcall_operator.simulation.ports import Look
from crewcall_operator.simulation.scenarios import SCENARIOS
from crewcall_operator.simulation.setting import Setting
from crewcall_operator.simulation.trace import Trace
from crewcall_operator.simulation.world import simulate

PROMISE = 30.0


class Watched(Crewcall):
    """Crewcall, and what it decided at each look. `seeing` changes what it sees."""

    def __init__(
        self,
        seeing: Callable[[Look], Look] = lambda look: look,
        most: int = 50,
        does: OnSaturation = OnSaturation.REPORT,
    ) -> None:
        super().__init__(policy(max=most, target=QueueLatency(PROMISE, does)), threads=4)
        self.seeing = seeing
        self.story: list[tuple[float, int, Reason]] = []
        self.verdicts: list[tuple[float, Saturated | None]] = []

    def wanted(self, look: Look) -> int:
        replicas = super().wanted(self.seeing(look))
        assert self.last is not None
        assert self._memory is not None
        self.story.append((look.at, replicas, self.last.reason))
        self.verdicts.append((look.at, self._memory.saturation.verdict))
        return replicas

    def between(self, start: float, end: float) -> set[int]:
        return {replicas for at, replicas, _ in self.story if start <= at < end}

    def most(self) -> int:
        """The most replicas that it ever asked for."""
        return max(replicas for _, replicas, _ in self.story)

    def judged(self) -> list[float]:
        """When it took the downstream for saturated."""
        return [at for at, verdict in self.verdicts if verdict is not None]


@cache
def scenario(name: str) -> tuple[Trace, Setting]:
    """One that ships."""
    found = SCENARIOS[name](20)
    return found.trace, found.setting


@cache
def told(name: str) -> tuple[Outcome, Watched]:
    """A scenario that ships, played once, and Crewcall in it; nobody plays on with that."""
    crewcall = Watched()
    return simulate(*scenario(name), crewcall), crewcall
