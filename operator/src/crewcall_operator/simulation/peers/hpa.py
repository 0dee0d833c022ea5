"""The HorizontalPodAutoscaler, v2, on an External metric with an AverageValue.

Checked against kubernetes/kubernetes: pkg/controller/podautoscaler/horizontal.go and replica_calculator.go at
00067268967 (stabilizeRecommendation, calculateScaleUpLimit, GetExternalPerPodMetricReplicas),
pkg/apis/autoscaling/v2/defaults.go at 1adaa753457; its steps were seen on a real 1.36. A sync every 15 s; ceil(metric /
target), within a tolerance of 10 % nothing; at least one replica. Without a `behavior` none is filled in: at each sync
it goes to the highest recommendation of 300 s, though a later one is lower, up to the most of 4 and twice the replicas:
1, 4, 8, 16, 32.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from crewcall_operator.simulation.ports import PLAIN, Care, Look

SYNC = 15.0
TOLERANCE = 0.1
WINDOW = 300.0
FACTOR, LEAST = 2, 4


@dataclass(frozen=True, slots=True)
class Behavior:
    """As people have it who want it quick: `pods` at once, down to the highest recommendation of `window` seconds."""

    pods: int
    window: float = 60.0


@dataclass(slots=True)
class Scaling:
    """The HPA's arithmetic, for all who leave the way from 1 to N to it. `least` is its minReplicas."""

    target: float
    most: int
    behavior: Behavior | None = None
    least: int = 1
    _wants: deque[tuple[float, int]] = field(default_factory=deque)
    _changes: deque[tuple[float, int]] = field(default_factory=deque)

    def replicas(self, metric: float, current: int, now: float) -> int:
        """The next size of what has `current` replicas, at least `least`."""
        ratio = metric / (self.target * current)
        wanted = current if abs(ratio - 1.0) <= TOLERANCE else math.ceil(metric / self.target)
        window = WINDOW if self.behavior is None else self.behavior.window
        self._wants.append((now, wanted))
        while self._wants[0][0] <= now - window:
            self._wants.popleft()
        if self.behavior is None or wanted < current:
            wanted = max(want for _, want in self._wants)
        if self.behavior is None:
            allowed = max(FACTOR * current, LEAST)
        else:
            allowed = max(current, self._since(now, current) + self.behavior.pods)
        wanted = max(self.least, min(wanted, allowed, self.most))
        if wanted != current:
            self._changes.append((now, wanted - current))
        return wanted

    def _since(self, now: float, current: int) -> int:
        """The replicas 15 s ago."""
        while self._changes and self._changes[0][0] <= now - SYNC:
            self._changes.popleft()
        return current - sum(delta for _, delta in self._changes)


@dataclass(slots=True)
class Hpa:
    """On the length of the ready list, as an exporter tells it."""

    name: str
    scaling: Scaling
    interval: float = SYNC
    care: Care = PLAIN

    @property
    def least(self) -> int:
        return self.scaling.least

    def wanted(self, look: Look) -> int:
        if look.is_blind:
            return look.asked
        return self.scaling.replicas(look.ready, look.asked, look.at)
