"""KEDA with its Redis scaler: it goes between 0 and 1 itself, and leaves 1 to N to an HPA.

Checked against kedacore/keda at 8b4f083ca8c (after 2.20.1): pkg/scaling/executor/scale_scaledobjects.go and
pkg/scalers/redis_scaler.go. Every pollingInterval (30 s) it looks whether the trigger is active, which is one job or
more; an inactive one goes to zero, from however many, after cooldownPeriod (300 s) without, unless there is a
minReplicaCount, which is the HPA's minimum then. The scaler reads LLEN of a
list or HLEN of a hash; listLength is 5 by default. The HPA has no behavior unless the owner gives it one, and asks KEDA
for a fresh value at each sync. A trigger that fails leaves the replicas alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from crewcall_operator.simulation.peers.hpa import SYNC, Scaling
from crewcall_operator.simulation.ports import PLAIN, Care, Look


@dataclass(slots=True)
class Keda:
    """`is_hash`: on the hash of all messages instead of the list of the ready ones. `polling` must divide 15 s or be a
    multiple of it; looks come at the quicker one of both."""

    name: str
    scaling: Scaling
    is_hash: bool
    polling: float = 30.0
    cooldown: float = 300.0
    care: Care = PLAIN
    least: int = 0
    _active_at: float = float("-inf")

    @property
    def interval(self) -> float:
        return min(self.polling, SYNC)

    def wanted(self, look: Look) -> int:
        if look.is_blind:
            return look.asked
        metric = look.ready + look.held if self.is_hash else look.ready
        replicas = look.asked
        if look.at % self.polling == 0:
            if metric:
                self._active_at = look.at
                replicas = max(replicas, 1)
            elif not self.least and look.at - self._active_at >= self.cooldown:
                return 0
        if replicas and look.asked and look.at % SYNC == 0:
            replicas = self.scaling.replicas(metric, replicas, look.at)
        return replicas
