"""The HorizontalPodAutoscaler, v2, on an External metric with an AverageValue.

From kubernetes/pkg/controller/podautoscaler (horizontal.go, replica_calculator.go) and
pkg/apis/autoscaling/v2/defaults.go: a sync every 15 s; ceil(metric / target), within a tolerance of 10 % nothing; up by
the most of 4 pods and 100 % in 15 s; down to the highest recommendation of 300 s. It leaves no fewer than one replica.
With `behavior` those are changed as people who want it quick do: up at once, down after a minute.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from crewcall_operator.simulation.ports import Look

SYNC = 15.0
TOLERANCE = 0.1


@dataclass(slots=True)
class Scaling:
    """The HPA's arithmetic, for all who leave the way from 1 to N to it. `pods` and `percent` are allowed in 15 s."""

    target: float
    most: int
    pods: int = 4
    percent: int = 100
    window: float = 300.0
    _wants: deque[tuple[float, int]] = field(default_factory=deque)
    _changes: deque[tuple[float, int]] = field(default_factory=deque)

    def replicas(self, metric: float, current: int, now: float) -> int:
        """The next size of what has `current` replicas, at least one."""
        ratio = metric / (self.target * current)
        wanted = current if abs(ratio - 1.0) <= TOLERANCE else math.ceil(metric / self.target)
        wanted = min(max(wanted, 1), self.most)
        self._wants.append((now, wanted))
        while self._wants[0][0] <= now - self.window:
            self._wants.popleft()
        if wanted < current:
            wanted = min(current, max(want for _, want in self._wants))
        while self._changes and self._changes[0][0] <= now - SYNC:
            self._changes.popleft()
        start = current - sum(delta for _, delta in self._changes)
        wanted = min(wanted, max(current, start + self.pods, math.ceil(start * (1 + self.percent / 100))))
        if wanted != current:
            self._changes.append((now, wanted - current))
        return wanted


@dataclass(slots=True)
class Hpa:
    """On the length of the ready list, as an exporter tells it. `scaling` carries the defaults or a tuned behavior."""

    name: str
    scaling: Scaling
    interval: float = SYNC
    drains: bool = False
    grace: float = 30.0
    recovery: float = 60.0
    least: int = 1

    def wanted(self, look: Look) -> int:
        if look.is_blind:
            return look.asked
        return self.scaling.replicas(look.ready, look.asked, look.at)
