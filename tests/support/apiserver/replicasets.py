"""The ReplicaSet controller: as many pods as were asked for, and the same choice of which go first as the real one.

`k8s.io/kubernetes/pkg/controller/controller_utils.go`, `ActivePodsWithRanks`: unassigned, pending and unready pods
go first, then those of the lowest deletion cost, then the youngest. All pods are on one node here.
"""

from __future__ import annotations

import math
from typing import Any

from tests.support.apiserver.controller import (
    PODS,
    REPLICA_SETS,
    Controller,
    is_active,
    is_ready,
    reference,
    seconds,
)
from tests.support.apiserver.deletion import Deletion, delete
from tests.support.apiserver.kinds import Object, clone, dig
from tests.support.apiserver.store import Change

_COST = "controller.kubernetes.io/pod-deletion-cost"


class ReplicaSetController(Controller):
    def react(self, change: Change) -> None:
        body = change.record.object
        if change.key == REPLICA_SETS and change.type != "DELETED":
            self._reconcile(body["metadata"]["namespace"], body["metadata"]["name"])
        elif change.key == PODS:
            owner = self.owner(body, "ReplicaSet", REPLICA_SETS)
            if owner:
                self._reconcile(owner.object["metadata"]["namespace"], owner.object["metadata"]["name"])

    def _reconcile(self, namespace: str, name: str) -> None:
        record = self.store.get(REPLICA_SETS, (namespace, name))
        if record is None:
            return
        body = record.object
        if "deletionTimestamp" not in body["metadata"]:
            pods = [it.object for it in self.owned(body, PODS) if is_active(it.object)]
            surplus = len(pods) - body["spec"]["replicas"]
            for _ in range(-surplus):
                self._add(body)
            for pod in ranked(pods, seconds(self.writer.now()))[: max(surplus, 0)]:
                delete(self.writer, self.resource(PODS), (namespace, pod["metadata"]["name"]), Deletion())
        self._report(namespace, name)

    def _add(self, owner: Object) -> None:
        template = clone(owner["spec"]["template"])
        metadata = {
            **template.get("metadata", {}),
            "generateName": f"{owner['metadata']['name']}-",
            "ownerReferences": [reference(owner)],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        self.make(PODS, owner["metadata"]["namespace"], pod)

    def _report(self, namespace: str, name: str) -> None:
        record = self.store.get(REPLICA_SETS, (namespace, name))
        if record is None:
            return
        pods = [it.object for it in self.owned(record.object, PODS)]
        active = [pod for pod in pods if is_active(pod)]
        ready = sum(1 for pod in active if is_ready(pod))
        counts = {
            "replicas": len(active),
            "fullyLabeledReplicas": len(active),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "observedGeneration": record.object["metadata"]["generation"],
        }
        terminating = sum(1 for pod in pods if "deletionTimestamp" in pod["metadata"])
        kept = {name: count for name, count in counts.items() if count or name == "replicas"}
        self.write_status(REPLICA_SETS, record, {**kept, "terminatingReplicas": terminating})


def ranked(pods: list[Object], now: float) -> list[Object]:
    """A ReplicaSet's pods in the order in which they are to go; `now` is Unix time in seconds."""

    def rank(pod: Object) -> tuple[Any, ...]:
        phase = {"Pending": 0, "Unknown": 1, "Running": 2}[dig(pod, ("status", "phase"), "Pending")]
        cost = int(dig(pod, ("metadata", "annotations", _COST), 0))
        restarts = sum(it.get("restartCount", 0) for it in dig(pod, ("status", "containerStatuses"), []))
        ready, created = is_ready(pod), pod["metadata"]["creationTimestamp"]
        since = _ready_since(pod) or created
        ages = (_bucket(now, since) if ready else 0, -restarts, _bucket(now, created))
        return ("nodeName" in pod["spec"], phase, ready, cost, *ages, pod["metadata"]["uid"])

    return sorted(pods, key=rank)


def _ready_since(pod: Object) -> str:
    found = (it for it in dig(pod, ("status", "conditions"), []) if it["type"] == "Ready")
    return next((it["lastTransitionTime"] for it in found), "")


def _bucket(now: float, since: str) -> int:
    """Ages count by powers of two (LogarithmicScaleDown), so that among pods of like age chance decides."""
    return int(math.log2(max(now - seconds(since), 1)))
