"""The HPA's rules for one External metric with an AverageValue and a `behavior`, to compare Crewcall's with.

Written from how kubernetes/pkg/controller/podautoscaler/{horizontal,replica_calculator}.go behave, as plainly as
can be: every sample and every event is kept, for ever. Where Crewcall means to differ, the line says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from crewcall_operator.core.decision import Reason
from crewcall_operator.core.policy import PolicyType, ScalingRules, SelectPolicy


@dataclass(slots=True)
class Hpa:
    """One autoscaler and the Deployment it scales. Times in seconds."""

    least: int
    most: int
    each: float
    up: ScalingRules
    down: ScalingRules
    replicas: int
    samples: list[tuple[float, int]] = field(default_factory=list)
    ups: list[tuple[float, int]] = field(default_factory=list)
    downs: list[tuple[float, int]] = field(default_factory=list)

    def reconcile(self, jobs: int, now: float) -> Reason | None:
        """Scale the Deployment to what `jobs` ask for; why it is not that, where it is not."""
        if not self.samples:
            self.samples.append((now, self.replicas))
        desired = self._desired(jobs)
        stable, reason = self._stabilized(desired, now)
        self.samples.append((now, desired))
        normal, limit = self._normalized(stable, now)
        self._scale(normal, now)
        return limit or (reason if stable != desired else None)

    def _desired(self, jobs: int) -> int:
        if self.replicas == 0:
            return math.ceil(jobs / self.each)  # Crewcall's: the HPA does nothing at zero unless it went there itself
        ratio = jobs / (self.each * self.replicas)
        if 1.0 - self.down.tolerance <= ratio <= 1.0 + self.up.tolerance:
            return self.replicas
        return math.ceil(jobs / self.each)

    def _stabilized(self, desired: int, now: float) -> tuple[int, Reason]:
        lowest = highest = desired
        for at, sample in self.samples:
            if at > now - self.up.stabilization:
                lowest = min(lowest, sample)
            if at > now - self.down.stabilization:
                highest = max(highest, sample)
        stable = self.replicas
        if stable < lowest:
            stable = lowest
        if stable > highest:
            stable = highest
        return stable, Reason.SCALE_UP_STABILIZED if desired >= self.replicas else Reason.SCALE_DOWN_STABILIZED

    def _normalized(self, stable: int, now: float) -> tuple[int, Reason | None]:
        if stable > self.replicas:
            limit = max(self._up_limit(now), self.replicas)
            allowed, reason = (
                (limit, Reason.SCALE_UP_LIMIT) if self.most > limit else (self.most, Reason.TOO_MANY_REPLICAS)
            )
            return (allowed, reason) if stable > allowed else (stable, None)
        if stable < self.replicas:
            limit = min(self._down_limit(now), self.replicas)
            allowed, reason = (
                (limit, Reason.SCALE_DOWN_LIMIT) if self.least < limit else (self.least, Reason.TOO_FEW_REPLICAS)
            )
            return (allowed, reason) if stable < allowed else (stable, None)
        return stable, None

    def _up_limit(self, now: float) -> int:
        if self.up.select is SelectPolicy.DISABLED:
            return self.replicas
        proposals = []
        for policy in self.up.policies:
            start = self._at_start(policy.period, now)
            by_percent = math.ceil(start * (1 + policy.value / 100))
            proposals.append(start + policy.value if policy.type is PolicyType.PODS else by_percent)
        if not proposals:
            return self.most  # Crewcall's: the HPA would fill in its own default policies
        chosen = min(proposals) if self.up.select is SelectPolicy.MIN else max(proposals)
        return max(chosen, 1)  # Crewcall's: leaving zero admits one

    def _down_limit(self, now: float) -> int:
        if self.down.select is SelectPolicy.DISABLED:
            return self.replicas
        proposals = []
        for policy in self.down.policies:
            start = self._at_start(policy.period, now)
            by_percent = math.trunc(start * (1 - policy.value / 100))
            proposals.append(start - policy.value if policy.type is PolicyType.PODS else by_percent)
        if not proposals:
            return 0  # Crewcall's, as above
        return max(proposals) if self.down.select is SelectPolicy.MIN else min(proposals)

    def _at_start(self, period: float, now: float) -> int:
        """The replicas there were when the period that ends `now` began."""
        added = sum(change for at, change in self.ups if at > now - period)
        removed = sum(change for at, change in self.downs if at > now - period)
        return self.replicas - added + removed

    def _scale(self, replicas: int, now: float) -> None:
        if replicas > self.replicas:
            self.ups.append((now, replicas - self.replicas))
        elif replicas < self.replicas:
            self.downs.append((now, self.replicas - replicas))
        self.replicas = replicas
