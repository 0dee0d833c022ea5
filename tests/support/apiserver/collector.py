"""The garbage collector and the namespace controller: what goes when something it belongs to has gone.

kubernetes.io/docs/concepts/architecture/garbage-collection. In the background by default; the finalizers
`foregroundDeletion` and `orphan` say that the dependents go first, or stay.
"""

from __future__ import annotations

from typing import Any

from tests.support.apiserver.controller import Controller
from tests.support.apiserver.deletion import Deletion, delete, remove
from tests.support.apiserver.kinds import Object
from tests.support.apiserver.store import Change, Name, Record

_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"


class Collector(Controller):
    """Deletes dependents, and empties namespaces that are being deleted."""

    manager = "kube-controller-manager"

    def react(self, change: Change) -> None:
        body = change.record.object
        if change.type == "DELETED":
            self._collect(body["metadata"]["uid"])
            self._finish_owners(body)
            self._finish_namespace(body["metadata"].get("namespace", ""))
            return
        if body["metadata"].get("deletionTimestamp"):
            self._finalize(change.key, body)
        elif change.type == "ADDED":
            owners = body["metadata"].get("ownerReferences")
            if owners and all(self._is_gone(owner, body) for owner in owners):
                self._delete(change.key, _name(body))

    def _delete(self, key: str, name: Name) -> None:
        record = self.store.get(key, name)
        if record and not record.object["metadata"].get("deletionTimestamp"):
            delete(self.writer, self.resource(key), name, Deletion())

    def _collect(self, uid: str) -> None:
        for key, name in self.store.dependents(uid):
            record = self.store.get(key, name)
            if record is None:
                continue
            left = [it for it in record.object["metadata"]["ownerReferences"] if it["uid"] != uid]
            if any(not self._is_gone(owner, record.object) for owner in left):
                self._reown(key, record, left)
            else:
                self._delete(key, name)

    def _reown(self, key: str, record: Record, owners: list[Object]) -> None:
        self.write(key, record, lambda body: body["metadata"].update(ownerReferences=owners))

    def _is_gone(self, owner: Object, dependent: Object) -> bool:
        resource = self.writer.catalog.kind(owner["apiVersion"], owner["kind"])
        if resource is None:
            return False
        namespace = dependent["metadata"].get("namespace", "") if resource.namespaced else ""
        found = self.store.get(resource.key, (namespace, owner["name"]))
        return found is None or found.object["metadata"]["uid"] != owner["uid"]

    def _finalize(self, key: str, body: Object) -> None:
        """Do what a finalizer of the garbage collector stands for, and take it away."""
        record, uid = self.store.get(key, _name(body)), body["metadata"]["uid"]
        if record is None or record.object["metadata"]["uid"] != uid:
            return
        finalizers = record.object["metadata"].get("finalizers", ())
        if _ORPHAN in finalizers:
            for other, name in self.store.dependents(uid):
                dependent = self.store.get(other, name)
                if dependent:
                    owners = dependent.object["metadata"]["ownerReferences"]
                    self._reown(other, dependent, [it for it in owners if it["uid"] != uid])
            self._drop(key, record, _ORPHAN)
        elif _FOREGROUND in finalizers:
            dependents = self.store.dependents(uid)
            for other, name in dependents:
                found = self.store.get(other, name)
                if found and not found.object["metadata"].get("deletionTimestamp"):
                    delete(self.writer, self.resource(other), name, Deletion("Foreground"))
            if not self.store.dependents(uid):
                self._drop(key, record, _FOREGROUND)
        if key == "namespaces":
            self._empty(body["metadata"]["name"])

    def _drop(self, key: str, record: Record, finalizer: str) -> None:
        def change(body: dict[str, Any]) -> None:
            body["metadata"]["finalizers"] = [it for it in body["metadata"]["finalizers"] if it != finalizer]

        self.write(key, record, change)

    def _finish_owners(self, body: Object) -> None:
        """A dependent is gone: an owner that waits in the foreground may go now."""
        for owner in body["metadata"].get("ownerReferences", ()):
            resource = self.writer.catalog.kind(owner["apiVersion"], owner["kind"])
            found = resource and self.store.get(resource.key, (body["metadata"].get("namespace", ""), owner["name"]))
            if resource and found and found.object["metadata"].get("deletionTimestamp"):
                self._finalize(resource.key, found.object)

    def _empty(self, namespace: str) -> None:
        for key in self.store.kept():
            for name, _ in self.store.all(key, namespace):
                self._delete(key, name)
        self._finish_namespace(namespace)

    def _finish_namespace(self, namespace: str) -> None:
        record = self.store.get("namespaces", ("", namespace))
        if record is None or not record.object["metadata"].get("deletionTimestamp"):
            return
        is_empty = not any(self.store.all(key, namespace) for key in self.store.kept())
        if is_empty and not record.object["metadata"].get("finalizers"):
            remove(self.writer, self.resource("namespaces"), ("", namespace))


def _name(body: Object) -> Name:
    return body["metadata"].get("namespace", ""), body["metadata"]["name"]
