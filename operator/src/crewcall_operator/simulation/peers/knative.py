"""Knative's pod autoscaler (KPA), on concurrency: what is in the system, averaged over two windows.

Checked against knative/serving at 98e5ef90aa7 (1.23): pkg/autoscaler/scaling/autoscaler.go, pkg/resources/pods.go,
pkg/reconciler/autoscaling/kpa/scaler.go and config/core/configmaps/autoscaler.yaml: stable window
60 s, panic window 10 % of it; target utilization 70 %; a look every 2 s; at most 1000 times as many replicas up and
half as many down in one look, counted from those that are ready; panic once the short window wants twice what is ready,
and no way down until it has been calm for a stable window; zero when the stable window is empty, after a grace of 30 s.
Requests that wait count, as they do in its activator: here they are the outstanding jobs.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from crewcall_operator.simulation.ports import PLAIN, Care, Look

STABLE, PANIC = 60.0, 6.0
UTILIZATION = 0.7
PANIC_AT = 2.0
UP, DOWN = 1000.0, 2.0
ZERO_GRACE = 30.0


@dataclass(slots=True)
class Knative:
    """`concurrency` is a replica's, `least` and `most` are min-scale and max-scale."""

    concurrency: int
    most: int
    name: str = "knative"
    interval: float = 2.0
    care: Care = PLAIN
    least: int = 0
    _seen: deque[tuple[float, int]] = field(default_factory=deque)
    _panic_at: float | None = None
    _panic_peak: int = 0
    _idle_at: float | None = None

    def wanted(self, look: Look) -> int:
        if look.is_blind:
            return look.asked
        self._seen.append((look.at, look.ready + look.held))
        while self._seen[0][0] <= look.at - STABLE:
            self._seen.popleft()
        target = self.concurrency * UTILIZATION
        ready = max(1, look.working - look.draining)
        highest, lowest = math.ceil(UP * ready), math.floor(ready / DOWN)
        stable = min(max(math.ceil(self._average(look.at, STABLE) / target), lowest), highest)
        wants = math.ceil(self._average(look.at, PANIC) / target)
        panic = min(max(wants, lowest), highest)
        if wants / ready >= PANIC_AT:
            self._panic_at = look.at
        elif self._panic_at is not None and look.at - self._panic_at > STABLE:
            self._panic_at, self._panic_peak = None, 0
        if self._panic_at is not None:
            self._panic_peak = max(self._panic_peak, stable, panic)
            return self._bounded(self._panic_peak)
        return self._bounded(self._or_zero(stable, look))

    def _bounded(self, wanted: int) -> int:
        return min(max(self.least, wanted), self.most)

    def _or_zero(self, stable: int, look: Look) -> int:
        if any(count for _, count in self._seen):
            self._idle_at = None
            return max(1, stable)
        if self._idle_at is None:
            self._idle_at = look.at
        return 0 if look.at - self._idle_at >= ZERO_GRACE or not look.asked else 1

    def _average(self, now: float, window: float) -> float:
        counts = [count for at, count in self._seen if at > now - window]
        return sum(counts) / len(counts)
