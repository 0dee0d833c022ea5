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
    """What a peer is configured by: times in seconds, `threads` of a replica, `most` replicas, the owner's `grace`."""

    promise: float
    service: float
    threads: int
    most: int
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


def _quick(target: float, most: int) -> Scaling:
    return Scaling(target, most, Behavior(pods=most))


PEERS: dict[str, Callable[[Pool], Autoscaler]] = {
    "hpa": lambda by: Hpa("hpa", Scaling(by.backlog, by.most)),
    "hpa-behavior": lambda by: Hpa("hpa-behavior", _quick(by.backlog, by.most), care=by.care),
    "keda-default": lambda by: Keda("keda-default", Scaling(5.0, by.most), is_hash=False),
    "keda-list": lambda by: Keda(
        "keda-list", _quick(by.backlog, by.most), is_hash=False, polling=1.0, cooldown=60.0, care=by.care
    ),
    "keda-msgs": lambda by: Keda("keda-msgs", Scaling(by.outstanding, by.most), is_hash=True),
    "keda": lambda by: Keda(
        "keda", _quick(by.outstanding, by.most), is_hash=True, polling=1.0, cooldown=60.0, care=by.care
    ),
    "knative": lambda by: Knative(by.threads, by.most, care=by.care),
    "wpa": lambda by: Wpa(by.outstanding, by.service / by.threads, by.most),
    "aws": lambda by: Aws(by.backlog, by.most),
}
