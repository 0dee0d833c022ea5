"""The Deployment controller: a ReplicaSet for each template, rolled over as `maxSurge` and `maxUnavailable` allow.

`k8s.io/kubernetes/pkg/controller/deployment`. Left out: pause, rollback, progress deadlines, proportional scaling
in the middle of a rollout, and the clean-up of old ReplicaSets.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

from tests.support.apiserver.controller import (
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    Controller,
    condition,
    reference,
)
from tests.support.apiserver.kinds import Object, clone, dig
from tests.support.apiserver.store import Change, Record, encode

_HASH = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class DeploymentController(Controller):
    def react(self, change: Change) -> None:
        body = change.record.object
        if change.key == DEPLOYMENTS and change.type != "DELETED":
            self._reconcile(body["metadata"]["namespace"], body["metadata"]["name"])
        elif change.key == REPLICA_SETS:
            owner = self.owner(body, "Deployment", DEPLOYMENTS)
            if owner:
                self._reconcile(owner.object["metadata"]["namespace"], owner.object["metadata"]["name"])

    def _reconcile(self, namespace: str, name: str) -> None:
        record = self.store.get(DEPLOYMENTS, (namespace, name))
        if record is None:
            return
        if "deletionTimestamp" not in record.object["metadata"]:
            hashed = _hash(record.object["spec"]["template"])
            sets = self.owned(record.object, REPLICA_SETS)
            new = next((it for it in sets if it.object["metadata"]["labels"].get(_HASH) == hashed), None)
            old = [it for it in sets if it is not new]
            if new is None:
                new = self._start(record.object, hashed, old)
            if new is not None:
                self._annotate(record, new)
                self._roll(record.object, new, old)
        self._report(namespace, name)

    def _start(self, body: Object, hashed: str, old: list[Record]) -> Record | None:
        spec, metadata = body["spec"], body["metadata"]
        template = clone(spec["template"])
        template["metadata"]["labels"][_HASH] = hashed
        selector = clone(spec["selector"])
        selector.setdefault("matchLabels", {})[_HASH] = hashed
        revision = 1 + max((int(dig(it.object, ("metadata", "annotations", _REVISION), 0)) for it in old), default=0)
        replica_set = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{metadata['name']}-{hashed}",
                "labels": template["metadata"]["labels"],
                "annotations": {_REVISION: str(revision)},
                "ownerReferences": [reference(body)],
            },
            "spec": {"replicas": 0 if old else spec["replicas"], "selector": selector, "template": template},
        }
        return self.make(REPLICA_SETS, metadata["namespace"], replica_set)

    def _annotate(self, record: Record, new: Record) -> None:
        revision = new.object["metadata"]["annotations"][_REVISION]
        if dig(record.object, ("metadata", "annotations", _REVISION)) != revision:
            self.write(
                DEPLOYMENTS,
                record,
                lambda body: body["metadata"].setdefault("annotations", {}).update({_REVISION: revision}),
            )

    def _roll(self, body: Object, new: Record, old: list[Record]) -> None:
        """One step from the old ReplicaSets to the new one."""
        spec = body["spec"]
        wanted, sizes = spec["replicas"], [it.object["spec"]["replicas"] for it in old]
        size = new.object["spec"]["replicas"]
        if not any(sizes):
            still_there = any(self.owned(it.object, PODS) for it in old)
            if spec["strategy"]["type"] == "Recreate" and still_there and size == 0:
                return
            self._resize(new, wanted)
            return
        if spec["strategy"]["type"] == "Recreate":
            for it in old:
                self._resize(it, 0)
            return
        rolling = spec["strategy"]["rollingUpdate"]
        surge = _share(rolling["maxSurge"], wanted, math.ceil)
        missing = _share(rolling["maxUnavailable"], wanted, math.floor)
        if not surge and not missing:
            missing = 1
        room = wanted + surge - size - sum(sizes)
        target = min(wanted, size + max(room, 0))
        self._resize(new, target)
        available = dig(new.object, ("status", "availableReplicas"), 0)
        spare = size + sum(sizes) - (wanted - missing) - max(size - available, 0)
        for it, current in zip(old, sizes, strict=True):
            step = min(current, max(spare, 0))
            self._resize(it, current - step)
            spare -= step

    def _resize(self, record: Record, replicas: int) -> None:
        if record.object["spec"]["replicas"] != replicas:
            self.write(REPLICA_SETS, record, lambda body: body["spec"].update(replicas=replicas))

    def _report(self, namespace: str, name: str) -> None:
        record = self.store.get(DEPLOYMENTS, (namespace, name))
        if record is None:
            return
        body = record.object
        sets = [it.object for it in self.owned(body, REPLICA_SETS)]
        hashed = _hash(body["spec"]["template"])
        updated = [it for it in sets if it["metadata"]["labels"].get(_HASH) == hashed]
        wanted, available = body["spec"]["replicas"], _sum(sets, "availableReplicas")
        counts = {
            "observedGeneration": body["metadata"]["generation"],
            "replicas": _sum(sets, "replicas"),
            "updatedReplicas": _sum(updated, "replicas"),
            "readyReplicas": _sum(sets, "readyReplicas"),
            "availableReplicas": available,
            "unavailableReplicas": max(max(wanted, _sum(sets, "replicas")) - available, 0),
        }
        status: Object = {key: count for key, count in counts.items() if count}
        status["terminatingReplicas"] = _sum(sets, "terminatingReplicas")
        status["conditions"] = self._conditions(body, counts, updated)
        self.write_status(DEPLOYMENTS, record, status)

    def _conditions(self, body: Object, counts: dict[str, int], updated: list[Object]) -> list[Object]:
        wanted, now = body["spec"]["replicas"], self.writer.now()
        rolling = body["spec"]["strategy"].get("rollingUpdate", {"maxUnavailable": 0})
        least = wanted - _share(rolling["maxUnavailable"], wanted, math.floor)
        is_available = counts["availableReplicas"] >= least
        available = condition(
            body,
            "Available",
            is_available,
            "MinimumReplicasAvailable" if is_available else "MinimumReplicasUnavailable",
            f"Deployment {'has' if is_available else 'does not have'} minimum availability.",
            now,
        )
        is_done = counts["updatedReplicas"] == counts["replicas"] == counts["availableReplicas"] == wanted
        name = updated[0]["metadata"]["name"] if updated else ""
        says = "has successfully progressed." if is_done else "is progressing."
        reason = "NewReplicaSetAvailable" if is_done else "ReplicaSetUpdated"
        progressing = condition(body, "Progressing", True, reason, f'ReplicaSet "{name}" {says}', now)
        return [available, progressing]


def _hash(template: Object) -> str:
    """A template's hash, with the real one's look: `rand.SafeEncodeString`."""
    digits = str(zlib.crc32(encode(template)))
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in digits)


def _share(value: int | str, of: int, rounded: Any) -> int:
    if isinstance(value, int):
        return value
    return int(rounded(int(value.removesuffix("%")) * of / 100))


def _sum(sets: list[Object], name: str) -> int:
    return sum(dig(it, ("status", name), 0) for it in sets)
