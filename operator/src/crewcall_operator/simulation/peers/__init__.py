"""Other people's autoscalers, from what they publish of themselves, to compare with.

The tuned ones are told what only a careful owner knows: the mean service time, and the promise. Their target is the
work that one replica does within the promise; with as much waiting, the last job starts in time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from crewcall_operator.simulation.peers.aws import Aws
from crewcall_operator.simulation.peers.hpa import Behavior, Hpa, Scaling
from crewcall_operator.simulation.peers.keda import Keda
from crewcall_operator.simulation.peers.knative import Knative
from crewcall_operator.simulation.peers.wpa import Wpa
from crewcall_operator.simulation.ports import PLAIN, Autoscaler, Care


@dataclass(frozen=True, slots=True)
class Pool:
    """What a peer is configured by: times in seconds, `threads` of a replica, `least` to `most` replicas, the owner's
    `grace`."""

    promise: float
    service: float
    threads: int
    most: int
    least: int = 0
    grace: float = 600.0

    @property
    def backlog(self) -> float:
        """Waiting jobs that one replica starts within the promise."""
        return max(1.0, self.threads * self.promise / self.service)

    @property
    def outstanding(self) -> float:
        """Jobs, running ones included, that one replica has within the promise, with half of it in hand."""
        return self.threads * max(1.0, self.promise / self.service / 2)

    @property
    def care(self) -> Care:
        """What plain workers are given by an owner who knows how long jobs take."""
        return replace(PLAIN, grace=self.grace)


def _usual(by: Pool, target: float) -> Scaling:
    return Scaling(target, by.most, least=max(1, by.least))


def _quick(by: Pool, target: float) -> Scaling:
    return Scaling(target, by.most, Behavior(pods=by.most), least=max(1, by.least))


PEERS: dict[str, Callable[[Pool], Autoscaler]] = {
    "hpa": lambda by: Hpa("hpa", _usual(by, by.backlog)),
    "hpa-behavior": lambda by: Hpa("hpa-behavior", _quick(by, by.backlog), care=by.care),
    "keda-default": lambda by: Keda("keda-default", _usual(by, 5.0), is_hash=False, least=by.least),
    "keda-list": lambda by: Keda(
        "keda-list", _quick(by, by.backlog), is_hash=False, polling=1.0, cooldown=60.0, care=by.care, least=by.least
    ),
    "keda-msgs": lambda by: Keda("keda-msgs", _usual(by, by.outstanding), is_hash=True, least=by.least),
    "keda": lambda by: Keda(
        "keda", _quick(by, by.outstanding), is_hash=True, polling=1.0, cooldown=60.0, care=by.care, least=by.least
    ),
    "knative": lambda by: Knative(by.threads, by.most, care=by.care, least=by.least),
    "wpa": lambda by: Wpa(by.outstanding, by.service / by.threads, by.most, least=by.least),
    "aws": lambda by: Aws(by.backlog, by.most, least=max(1, by.least)),
}
