"""Deleting: at once, after finalizers, after a pod's grace period, with or without the dependents.

`k8s.io/apiserver/pkg/registry/{rest/delete.go,generic/registry/store.go}`. What follows of a deletion (garbage
collection, emptying a namespace, ending a pod) is the controllers' work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.support.apiserver import failures
from tests.support.apiserver.catalog import CRDS
from tests.support.apiserver.kinds import Object, Resource, clone, dig
from tests.support.apiserver.store import Name, Record
from tests.support.apiserver.writes import Writer, timestamp

_POLICIES = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


@dataclass(frozen=True, slots=True)
class Deletion:
    """`DeleteOptions`. The grace in seconds, None for the kind's own."""

    policy: str = "Background"
    grace: int | None = None
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False

    @classmethod
    def read(cls, options: Mapping[str, Any], query: Mapping[str, str]) -> Deletion:
        """From the body and the query of a request. Raises a 422 `Failure`."""
        policy = query.get("propagationPolicy") or options.get("propagationPolicy") or "Background"
        if policy not in ("Background", *_POLICIES):
            allowed = ["Foreground", "Background", "Orphan", "nil"]
            cause = failures.not_supported("propagationPolicy", policy, allowed)
            raise failures.invalid(Resource("meta.k8s.io", "v1", "", "DeleteOptions"), "", [cause])
        grace = query.get("gracePeriodSeconds", options.get("gracePeriodSeconds"))
        conditions = options.get("preconditions") or {}
        return cls(
            policy,
            None if grace is None else int(grace),
            conditions.get("uid", ""),
            conditions.get("resourceVersion", ""),
            bool(query.get("dryRun") or options.get("dryRun")),
        )


def delete(writer: Writer, resource: Resource, name: Name, wanted: Deletion) -> tuple[Record, bool]:
    """Delete, or mark for deletion; gives what is left or was last, and whether it is gone."""
    record = writer.store.get(resource.key, name)
    if record is None:
        raise failures.not_found(resource, name[1])
    body = record.object
    _check(resource, body["metadata"], wanted)
    finalizers = list(body["metadata"].get("finalizers", ()))
    finalizer = _POLICIES.get(wanted.policy)
    if finalizer and finalizer not in finalizers:
        finalizers.append(finalizer)
    grace = _grace(resource, body, wanted)
    if not finalizers and not grace and resource.key != "namespaces":
        if wanted.dry_run:
            return record, True
        return remove(writer, resource, name), True
    if wanted.dry_run:
        return record, False
    return _mark(writer, resource, record, finalizers, grace), False


def remove(writer: Writer, resource: Resource, name: Name) -> Record:
    """Take an object out of the store, and with a CustomResourceDefinition what it defined."""
    gone = writer.store.remove(resource.key, name)
    if resource.key == CRDS:
        defined = gone.object["spec"]
        key = f"{defined['names']['plural']}.{defined['group']}"
        for item, _ in writer.store.all(key):
            writer.store.remove(key, item)
        writer.catalog.forget(name[1])
        writer.store.cut(key)
    return gone


def _check(resource: Resource, metadata: Mapping[str, Any], wanted: Deletion) -> None:
    for field, asked in (("uid", wanted.uid), ("resourceVersion", wanted.resource_version)):
        if asked and metadata[field] != asked:
            words = {"uid": "UID", "resourceVersion": "ResourceVersion"}[field]
            why = f"Precondition failed: {words} in precondition: {asked}, {words} in object meta: {metadata[field]}"
            raise failures.conflict(resource, metadata["name"], why)


def _grace(resource: Resource, body: Object, wanted: Deletion) -> int:
    """Seconds until the pod must be gone; 0 for all other kinds, and for a pod that runs nowhere."""
    if resource.key != "pods":
        return 0
    if not dig(body, ("spec", "nodeName")) or dig(body, ("status", "phase")) in ("Succeeded", "Failed"):
        return 0
    own = int(dig(body, ("spec", "terminationGracePeriodSeconds"), 30))
    return own if wanted.grace is None else max(0, wanted.grace)


def _mark(writer: Writer, resource: Resource, record: Record, finalizers: list[str], grace: int) -> Record:
    body = clone(record.object)
    metadata = body["metadata"]
    was = (metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds"), metadata.get("finalizers"))
    shorter = metadata.get("deletionTimestamp") and grace < metadata.get("deletionGracePeriodSeconds", 0)
    if not metadata.get("deletionTimestamp") or shorter:
        ends = datetime.fromisoformat(writer.now()) + timedelta(seconds=grace)
        metadata["deletionTimestamp"] = timestamp(ends)
        if resource.key != "namespaces":
            metadata["deletionGracePeriodSeconds"] = grace
        if "generation" in metadata:
            metadata["generation"] += 1
    if finalizers:
        metadata["finalizers"] = finalizers
    if resource.key == "namespaces":
        body["status"] = {**body.get("status", {}), "phase": "Terminating"}
    now = (metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds"), metadata.get("finalizers"))
    if now == was:
        return record
    return writer.store.write(resource.key, (metadata.get("namespace", ""), metadata["name"]), body, record.owners)
