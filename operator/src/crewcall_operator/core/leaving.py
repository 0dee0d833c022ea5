"""Leaving: the replicas whose workers a hand has asked to drain. They count for nothing any more, but that they run on.

Pure. A decision is about the replicas that remain, so that for one that leaves another comes as soon as the load, the
bounds and the rates admit; how the two change places is `victims`' part. A pod leaves where all of its workers that are
heard of were asked: a worker that begins anew in it was not, and it remains.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

from crewcall_operator.core.observation import Fleet, Observation, Worker
from crewcall_operator.core.replica import by_pod, heard_of, staying


def leaving(fleet: Fleet, observed: Observation | None) -> frozenset[str]:
    """The pods that leave; none where pods are not told apart, or nothing is known of their workers."""
    if fleet.pods is None or observed is None or not any(worker.is_asked for worker in observed.workers):
        return frozenset()
    crews = by_pod(observed.workers)
    return frozenset(pod.name for pod in staying(fleet.pods, fleet.current) if _leaves(crews.get(pod.name, ())))


def remaining(fleet: Fleet, leaving: Set[str]) -> Fleet:
    """The fleet without them."""
    if fleet.pods is None or not leaving:
        return fleet
    ready = sum(pod.is_ready for pod in fleet.pods if pod.name in leaving)
    pods = tuple(pod for pod in fleet.pods if pod.name not in leaving)
    return replace(fleet, current=max(0, fleet.current - len(leaving)), ready=max(0, fleet.ready - ready), pods=pods)


def _leaves(workers: Sequence[Worker]) -> bool:
    return bool(workers) and all(worker.is_asked for worker in heard_of(workers))
