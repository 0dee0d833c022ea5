"""Autoscalers that do no scaling, to measure others against: a fixed size, and all there is once anything is to do."""

from __future__ import annotations

from dataclasses import dataclass

from crewcall_operator.simulation.ports import DRAINED, Care, Look


@dataclass(slots=True)
class Fixed:
    """Always `replicas`."""

    replicas: int
    name: str = "fixed"
    interval: float = 60.0
    care: Care = DRAINED

    @property
    def least(self) -> int:
        return self.replicas

    def wanted(self, look: Look) -> int:
        del look
        return self.replicas


@dataclass(slots=True)
class AllAtOnce:
    """All replicas there may be from the first job seen, `least` after `cooldown` seconds without any.

    Nothing that only reacts starts jobs sooner. It tells what can be promised at all, and what it costs not to think.
    """

    most: int
    cooldown: float = 120.0
    name: str = "all at once"
    interval: float = 1.0
    care: Care = DRAINED
    least: int = 0
    _busy_at: float = float("-inf")

    def wanted(self, look: Look) -> int:
        if look.ready + look.held + look.due + len(look.due_in):
            self._busy_at = look.at
        return self.most if look.at - self._busy_at < self.cooldown else self.least
