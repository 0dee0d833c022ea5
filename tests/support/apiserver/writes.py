"""Every write goes through here: what a create or an update may change, and what the server changes itself.

Order and rules: `k8s.io/apiserver/pkg/registry/{rest,generic/registry}` and the strategies of each kind. The server
keeps for itself uid, creationTimestamp, generation, resourceVersion, deletion and managedFields; a write that
changes nothing is not a write.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.support.apiserver import admission, failures, ownership
from tests.support.apiserver.catalog import CRDS, Catalog
from tests.support.apiserver.kinds import Object, Resource
from tests.support.apiserver.ownership import Manager, Owners
from tests.support.apiserver.preconditions import OTHER_NAMESPACE, check_namespace, check_update
from tests.support.apiserver.store import Name, Record, Store
from tests.support.apiserver.structure import drop_nulls, fill, prune
from tests.support.apiserver.validation import BLOCKING, UNCHECKED
from tests.support.apiserver.validation import judge as judge_structure

WallClock = Callable[[], datetime]
_KEPT = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
_CLIENTS = ("name", "generateName", "namespace", "labels", "annotations", "ownerReferences", "finalizers")
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(slots=True)
class Writing:
    """How one write is meant: by whom, to which subresource, whether it counts. `unknown` collects pruned fields."""

    manager: str = "unknown"
    subresource: str = ""
    dry_run: bool = False
    strict: bool = False
    unknown: list[str] = field(default_factory=list)

    @property
    def by(self) -> Manager:
        return Manager(self.manager, "Update", self.subresource)


def timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_name(prefix: str) -> str:
    """A name as `generateName` makes it, of at most 63 characters (`k8s.io/apiserver/pkg/storage/names`)."""
    return prefix[:58] + "".join(random.choices(_SUFFIX, k=5))  # noqa: S311  a name, not a secret


class Writer:
    """Creates and replaces objects in a store, as the catalog's kinds allow. `now` is the wall clock."""

    def __init__(self, store: Store, catalog: Catalog, now: WallClock) -> None:
        self.store = store
        self.catalog = catalog
        self._now = now

    def now(self) -> str:
        return timestamp(self._now())

    def create(
        self, resource: Resource, namespace: str, body: Object, writing: Writing, owners: Owners | None = None
    ) -> Record:
        """Store a new object. Raises the `Failure` that the real server would answer with."""
        if (body.get("metadata") or {}).get("resourceVersion"):
            raise failures.Failure(500, "", "resourceVersion should not be set on objects to be created")
        metadata = _clean(body.get("metadata") or {}, {})
        if metadata.get("namespace", namespace) != namespace:
            raise failures.bad_request(OTHER_NAMESPACE)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = new_name(metadata["generateName"])
        if namespace:
            metadata["namespace"] = namespace
            check_namespace(self.store, resource, namespace, metadata.get("name", ""))
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": self.now()}
        if resource.counts_generations:
            metadata["generation"] = 1
        body["metadata"] = metadata
        if resource.has_status:
            body.pop("status", None)
        body = self._admit(resource, body, None, writing)
        name = (namespace, metadata["name"])
        if self.store.get(resource.key, name):
            raise failures.already_exists(resource, metadata["name"])
        paths = ownership.fields(body, resource.schema)
        owned = owners if owners is not None else ownership.record_update({}, writing.by, {}, paths)
        return self._store(resource, name, body, owned, {}, writing)

    def replace(
        self, resource: Resource, record: Record, body: Object, writing: Writing, owners: Owners | None = None
    ) -> Record:
        """Store `body` in place of what `record` holds. Raises the `Failure` that the real server would answer with."""
        old = record.object
        metadata = dict(body.get("metadata") or {})
        name = (old["metadata"].get("namespace", ""), old["metadata"]["name"])
        check_update(resource, metadata, old)
        body = self._restrict({**body, "metadata": _clean(metadata, old["metadata"])}, resource, old, writing)
        body = self._admit(resource, body, old, writing)
        kept = body["metadata"]
        if resource.counts_generations and _specification(body, resource) != _specification(old, resource):
            kept["generation"] = old["metadata"].get("generation", 0) + 1
        before, after = (ownership.fields(it, resource.schema) for it in (old, body))
        owned = owners if owners is not None else ownership.record_update(record.owners, writing.by, before, after)
        if _same(body, old) and owned == record.owners:
            return record
        if kept.get("deletionTimestamp") and not kept.get("finalizers") and not kept.get("deletionGracePeriodSeconds"):
            # As on the real server, the last update is seen by the watches before the deletion is.
            last = self._store(resource, name, body, owned, record.owners, writing, old)
            return last if writing.dry_run else self.store.remove(resource.key, name)
        return self._store(resource, name, body, owned, record.owners, writing, old)

    @staticmethod
    def _restrict(body: Object, resource: Resource, old: Object, writing: Writing) -> Object:
        """What of `body` a write to this (sub)resource may change; the rest stays as it was."""
        if writing.subresource == "status":
            metadata = dict(old["metadata"])
            if not resource.is_custom:
                metadata["annotations"] = body["metadata"].get("annotations", {})
            restricted = {**old, "metadata": _clean(metadata, old["metadata"])}
            restricted.pop("status", None)
            return {**restricted, "status": body["status"]} if "status" in body else restricted
        if resource.has_status:
            body.pop("status", None)
            if "status" in old:
                body["status"] = old["status"]
        return body

    def _admit(self, resource: Resource, body: Object, old: Object | None, writing: Writing) -> Object:
        """Prune, fill in defaults and judge. Raises a 400 for unknown fields where asked, a 422 for bad ones."""
        unknown = prune(body, resource.schema) if resource.is_custom else []
        if unknown and writing.strict:
            said = ", ".join(f'unknown field "{path}"' for path in unknown)
            raise failures.bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
                f"strict decoding error: {said}"
            )
        writing.unknown += unknown
        if resource.is_custom:
            drop_nulls(body, resource.schema)
        if "spec" in resource.schema.get("properties", {}) and not resource.is_custom:
            body["spec"] = body.get("spec") or {}
        fill(body, resource.schema)
        causes = list(admission.judge_metadata(body["metadata"]))
        if resource.is_custom:
            causes += judge_structure(body, resource.schema)
            if any(cause.reason in BLOCKING for cause in causes):
                causes.append(UNCHECKED)
            else:
                causes += self.catalog.rulebook(resource).judge(body, old)
        else:
            body = admission.complete(resource, body, is_new=old is None)
            causes += admission.judge(resource, body, old)
        if causes:
            raise failures.invalid(resource, body["metadata"].get("name", ""), causes)
        return body

    def _store(
        self,
        resource: Resource,
        name: Name,
        body: Object,
        owners: Owners,
        before: Owners,
        writing: Writing,
        old: Object | None = None,
    ) -> Record:
        dated = {
            Manager(it["manager"], it["operation"], it.get("subresource", "")): it["time"]
            for it in (old["metadata"].get("managedFields", ()) if old else ())
        }
        now = self.now()
        times = {it: dated.get(it, now) if owners[it] == before.get(it) else now for it in owners}
        body["metadata"]["managedFields"] = ownership.render(owners, times, resource.api_version)
        if writing.dry_run:
            return Record(body, owners)
        record = self.store.write(resource.key, name, body, owners)
        if resource.key == CRDS:
            self.catalog.define(body)
        return record


def _clean(metadata: Object, old: Object) -> Object:
    """The metadata a client may set, without what is empty, and the server's own as it was before."""
    kept = {name: metadata[name] for name in _CLIENTS if metadata.get(name)}
    return {**kept, **{name: old[name] for name in _KEPT if name in old}}


def _specification(body: Object, resource: Resource) -> Any:
    """The part of an object whose changes count as a new generation."""
    if not resource.is_custom:
        return body.get("spec")
    left_out = ("metadata", "status") if resource.has_status else ("metadata",)
    return {name: value for name, value in body.items() if name not in left_out}


def _same(body: Object, old: Object) -> bool:
    bare = (
        {k: v for k, v in it["metadata"].items() if k not in ("managedFields", "resourceVersion")} for it in (body, old)
    )
    first, second = bare
    return first == second and {**body, "metadata": None} == {**old, "metadata": None}
