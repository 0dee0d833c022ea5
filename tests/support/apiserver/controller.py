"""What the controllers share: each sees every change, in order, and answers with writes of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.support.apiserver.failures import Failure
from tests.support.apiserver.kinds import Object, Resource, clone, dig
from tests.support.apiserver.store import Change, Record
from tests.support.apiserver.writes import Writer, Writing

PODS = "pods"
REPLICA_SETS = "replicasets.apps"
DEPLOYMENTS = "deployments.apps"


class Controller:
    """One control loop over the store. Subclasses say what they do about a change in `react`."""

    manager = "kube-controller-manager"

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.store = writer.store

    async def run(self) -> None:
        subscription = self.store.subscribe()
        try:
            for change in self._present():
                self.react(change)
            while True:
                change_ = await subscription.queue.get()
                assert isinstance(change_, Change)
                self.react(change_)
        finally:
            self.store.unsubscribe(subscription)

    def _present(self) -> Iterator[Change]:
        for key in self.store.kept():
            for _, record in self.store.all(key):
                yield Change(self.store.revision, key, "ADDED", record, None)

    def react(self, change: Change) -> None:
        raise NotImplementedError

    def resource(self, key: str) -> Resource:
        return self.writer.catalog.stored(key)

    def owned(self, owner: Object, key: str) -> list[Record]:
        """What an object owns of one kind, oldest first."""
        names = [name for found, name in self.store.dependents(owner["metadata"]["uid"]) if found == key]
        records = [record for name in names if (record := self.store.get(key, name))]
        return sorted(records, key=lambda record: str(record.object["metadata"]["creationTimestamp"]))

    def owner(self, body: Object, kind: str, key: str) -> Record | None:
        """The object of one kind that controls `body`, if it is still there."""
        for reference in body["metadata"].get("ownerReferences", ()):
            if reference["kind"] == kind and reference.get("controller"):
                found = self.store.get(key, (body["metadata"]["namespace"], reference["name"]))
                if found and found.object["metadata"]["uid"] == reference["uid"]:
                    return found
        return None

    def make(self, key: str, namespace: str, body: Object) -> Record | None:
        """Create an object; None where its namespace is being deleted, which is nothing to stop for."""
        try:
            return self.writer.create(self.resource(key), namespace, body, Writing(self.manager))
        except Failure as failure:
            if failure.reason in ("Forbidden", "NotFound"):
                return None
            raise

    def write(self, key: str, record: Record, change: Any, *, subresource: str = "") -> Record:
        """Store a copy of a record's object that `change`, a function, has worked on."""
        body = clone(record.object)
        change(body)
        return self.writer.replace(self.resource(key), record, body, Writing(self.manager, subresource))

    def write_status(self, key: str, record: Record, status: Object) -> None:
        if record.object.get("status", {}) != status:
            self.write(key, record, lambda body: body.update(status=clone(status)), subresource="status")


def condition(old: Object, kind: str, status: bool, reason: str, message: str, now: str) -> Object:
    """A condition with the times of the old one, as far as nothing has changed."""
    before: Object = next((it for it in dig(old, ("status", "conditions"), []) if it["type"] == kind), {})
    word = str(status)
    if (before.get("status"), before.get("reason"), before.get("message")) == (word, reason, message):
        return dict(before)
    since = before.get("lastTransitionTime", now) if before.get("status") == word else now
    times = {"lastUpdateTime": now, "lastTransitionTime": since}
    return {"type": kind, "status": word, "reason": reason, "message": message, **times}


def is_ready(pod: Object) -> bool:
    return any(it["type"] == "Ready" and it["status"] == "True" for it in dig(pod, ("status", "conditions"), []))


def is_active(pod: Object) -> bool:
    """Whether a pod counts as one of its ReplicaSet's."""
    ended = dig(pod, ("status", "phase")) in ("Succeeded", "Failed")
    return not ended and "deletionTimestamp" not in pod["metadata"]


def reference(owner: Object) -> Object:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
