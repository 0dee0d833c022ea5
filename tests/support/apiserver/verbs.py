"""The verbs on resources, without HTTP: what each answers, as a status and the bytes of a body."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.apiserver import apply, events, failures, patches, scale, selectors
from tests.support.apiserver.access import Access, User
from tests.support.apiserver.deletion import Deletion, delete
from tests.support.apiserver.kinds import Object, Resource, clone
from tests.support.apiserver.ownership import Manager
from tests.support.apiserver.reviews import review
from tests.support.apiserver.routes import Target
from tests.support.apiserver.store import Name, Record, encode
from tests.support.apiserver.tables import as_table
from tests.support.apiserver.writes import Writer, Writing


@dataclass(frozen=True, slots=True)
class Request:
    """One request for a resource, taken out of HTTP. `body` is what its JSON or YAML says."""

    target: Target
    query: Mapping[str, str]
    body: Any
    media_type: str
    accept: str
    agent: str
    user: User


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    warnings: list[str] = field(default_factory=list)


class Verbs:
    """Answers every verb but watch. Raises the `Failure` that the real server would answer with."""

    def __init__(self, writer: Writer, access: Access) -> None:
        self._writer = writer
        self._store = writer.store
        self._access = access

    def answer(self, request: Request) -> Answer:
        answer: Answer = getattr(self, f"_{request.target.verb}")(request)
        return answer

    def _record(self, target: Target) -> Record:
        record = self._store.get(target.resource.key, (target.namespace, target.name))
        if record is None:
            raise failures.not_found(target.resource, target.name)
        return record

    def _get(self, request: Request) -> Answer:
        target, record = request.target, self._record(request.target)
        if target.subresource == "scale":
            return Answer(200, encode(scale.read(target.resource, record)))
        if "as=Table" in request.accept and target.resource.columns:
            return Answer(200, encode(as_table(target.resource, [record], self._writer.now())))
        return self._shown(200, request, record)

    def _shown(self, status: int, request: Request, record: Record, writing: Writing | None = None) -> Answer:
        warnings = [f'unknown field "{path}"' for path in writing.unknown] if writing else []
        if request.target.resource.group == "events.k8s.io":
            return Answer(status, encode(events.from_core(record.object)), warnings)
        return Answer(status, record.encoded, warnings)

    def _list(self, request: Request) -> Answer:
        target, query = request.target, request.query
        resource, revision = target.resource, self._store.revision
        test = selectors.select(resource, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        asked = int(query.get("resourceVersion") or 0)
        if asked > revision:
            message = f"Timeout: Too large resource version: {asked}, current: {revision}"
            cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            raise failures.Failure(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})
        if query.get("resourceVersionMatch") == "Exact" and self._store.is_expired(resource.key, asked):
            raise failures.expired(f"The provided resource version is too old: {asked}")
        found = self._store.all(resource.key, target.namespace)
        if test is not None:
            found = [(name, record) for name, record in found if test(record.object)]
        metadata: Object = {"resourceVersion": str(revision), **({"continue": ""} if resource.is_custom else {})}
        if query.get("continue"):
            revision, start = self._resume(resource.key, query["continue"])
            metadata["resourceVersion"] = str(revision)
            found = [(name, record) for name, record in found if name > start]
        limit = int(query.get("limit") or 0)
        if limit and len(found) > limit:
            metadata["continue"] = _token(revision, found[limit - 1][0])
            if test is None:
                metadata["remainingItemCount"] = len(found) - limit
            found = found[:limit]
        records = [record for _, record in found]
        if "as=Table" in request.accept and resource.columns:
            return Answer(200, encode(as_table(resource, records, self._writer.now(), metadata)))
        if resource.group == "events.k8s.io":
            items = [encode(events.from_core(record.object)) for record in records]
        elif resource.is_custom:
            items = [record.encoded for record in records]
        else:
            # Go's typed lists leave out what every item has in common.
            items = [encode({k: v for k, v in r.object.items() if k not in ("kind", "apiVersion")}) for r in records]
        head = encode({"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata})
        return Answer(200, head[:-1] + b',"items":[' + b",".join(items) + b"]}")

    def _resume(self, key: str, token: str) -> tuple[int, Name]:
        try:
            revision, namespace, name = json.loads(base64.urlsafe_b64decode(token))
        except ValueError as error:
            raise failures.bad_request(f"invalid continue token: continue key is not valid: {error}") from error
        start = (namespace, name)
        if self._store.is_expired(key, revision):
            raise failures.expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                "list without the continue parameter, or use the continue token in this response to retrieve the "
                "remainder of the results. Continuing with the provided token results in an inconsistent list - "
                "objects that were created, modified, or deleted between the time the first chunk was returned and now "
                "may show up in the list.",
                _token(self._store.revision, start),
            )
        return revision, start

    def _writing(self, request: Request) -> Writing:
        manager = request.query.get("fieldManager") or request.agent.partition("/")[0] or "unknown"
        return Writing(
            manager,
            request.target.subresource,
            dry_run=bool(request.query.get("dryRun")),
            strict=request.query.get("fieldValidation") == "Strict",
        )

    def _create(self, request: Request) -> Answer:
        target = request.target
        if target.subresource == "token":
            return self._token(request)
        body = self._decoded(request)
        if target.resource.plural == "selfsubjectaccessreviews":
            return Answer(201, encode(review(body, request.user, self._access)))
        writing = self._writing(request)
        return self._shown(201, request, self._writer.create(target.resource, target.namespace, body, writing), writing)

    def _token(self, request: Request) -> Answer:
        self._record(request.target)
        token = self._access.issue_for_service_account(request.target.namespace, request.target.name)
        body = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "status": {"token": token}}
        return Answer(201, encode(body))

    def _decoded(self, request: Request) -> Object:
        resource, body = request.target.resource, request.body
        if not isinstance(body, dict):
            raise failures.bad_request(
                f"the object provided is unrecognized (must be of type {resource.kind}): couldn't get version/kind"
            )
        version, kind = body.get("apiVersion") or resource.api_version, body.get("kind") or resource.kind
        if version != resource.api_version:
            raise failures.bad_request(
                f"the API version in the data ({version}) does not match the expected API version "
                f"({resource.api_version})"
            )
        if kind != resource.kind and resource.is_custom:
            cause = failures.invalid_value("kind", kind, f"must be {resource.kind}")
            raise failures.invalid(replace(resource, kind=kind), (body.get("metadata") or {}).get("name", ""), [cause])
        if kind != resource.kind:
            raise failures.bad_request(
                f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}: no kind "{kind}" is '
                f'registered for version "{resource.api_version}"'
            )
        body |= {"apiVersion": version, "kind": kind}
        return events.to_core(body) if resource.group == "events.k8s.io" else body

    def _update(self, request: Request) -> Answer:
        target, writing = request.target, self._writing(request)
        if target.subresource == "scale":
            return self._scaled(request, self._record(target), request.body, writing)
        body = self._decoded(request)
        self._writer.check_name(body.get("metadata") or {}, target.name)
        record = self._record(target)
        must = target.resource.is_custom or target.resource.key == "leases.coordination.k8s.io"
        metadata = body.get("metadata") or {}
        if must and metadata.get("name") == target.name and not metadata.get("resourceVersion"):
            cause = failures.invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise failures.invalid(replace(target.resource, kind=target.resource.plural), target.name, [cause])
        return self._shown(200, request, self._writer.replace(target.resource, record, body, writing), writing)

    def _scaled(self, request: Request, record: Record, wanted: Object, writing: Writing) -> Answer:
        resource = request.target.resource
        written = self._writer.replace(resource, record, scale.written(resource, record, wanted), writing)
        return Answer(200, encode(scale.read(resource, written, may_be_absent=True)))

    def _patch(self, request: Request) -> Answer:
        target, resource = request.target, request.target.resource
        allowed = [patches.JSON, patches.MERGE, *([] if resource.is_custom else [patches.STRATEGIC]), patches.APPLY]
        if request.media_type not in allowed:
            raise failures.unsupported_media_type(allowed)
        if request.media_type == patches.APPLY:
            return self._apply(request)
        writing, record = self._writing(request), self._record(target)
        if target.subresource == "scale":
            before = scale.read(resource, record, may_be_absent=True)
            # The version is a condition only where the patch itself names one.
            before["metadata"].pop("resourceVersion")
            return self._scaled(request, record, patches.patch(before, request.body, patches.MERGE, {}), writing)
        body = patches.patch(record.object, request.body, request.media_type, resource.schema)
        return self._shown(200, request, self._writer.replace(resource, record, body, writing), writing)

    def _apply(self, request: Request) -> Answer:
        target, resource, writing = request.target, request.target.resource, self._writing(request)
        if "fieldManager" not in request.query:
            options = failures.required("fieldManager", "is required for apply patch")
            raise failures.invalid(_named("PatchOptions"), "", [options])
        wanted = request.body
        if not isinstance(wanted, dict) or not wanted.get("apiVersion") or not wanted.get("kind"):
            kind = wanted.get("kind", "") if isinstance(wanted, dict) else ""
            raise failures.bad_request(f"invalid object type: /, Kind={kind}")
        metadata = wanted.setdefault("metadata", {})
        if "managedFields" in metadata:
            raise failures.bad_request("metadata.managedFields must be nil")
        metadata.setdefault("name", target.name)
        manager = Manager(writing.manager, "Apply", target.subresource)
        record = self._store.get(resource.key, (target.namespace, target.name))
        # Only what this (sub)resource may change is applied, and owned.
        kept = {"status"} if target.subresource == "status" else wanted.keys() - {"status"}
        wanted = {k: v for k, v in wanted.items() if k in kept | {"apiVersion", "kind", "metadata"}}
        if record is None:
            if target.subresource:
                raise failures.not_found(resource, target.name)
            _, owners = apply.apply({**wanted}, {}, wanted, resource.schema, manager, force=False)
            created = self._writer.create(resource, target.namespace, clone(wanted), writing, owners)
            return self._shown(201, request, created, writing)
        force = request.query.get("force") in ("true", "1")
        live = record.object
        merged, owners = apply.apply(live, record.owners, wanted, resource.schema, manager, force=force)
        if "resourceVersion" not in metadata:
            merged["metadata"].pop("resourceVersion", None)
        written = self._writer.replace(resource, record, merged, writing, owners)
        return self._shown(200, request, written, writing)

    def _delete(self, request: Request) -> Answer:
        target = request.target
        wanted = Deletion.read(request.body or {}, request.query)
        record, is_gone = delete(self._writer, target.resource, (target.namespace, target.name), wanted)
        if not is_gone or target.resource.key == "pods":
            return self._shown(200, request, record)
        details = {"name": target.name, "group": target.resource.group, "kind": target.resource.plural}
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {k: v for k, v in {**details, "uid": record.object["metadata"]["uid"]}.items() if v},
        }
        return Answer(200, encode(status))

    def _deletecollection(self, request: Request) -> Answer:
        target, listed = request.target, self._list(request)
        resource, query = target.resource, request.query
        test = selectors.select(resource, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        wanted = Deletion.read(request.body or {}, query)
        for name, record in self._store.all(resource.key, target.namespace):
            if test is None or test(record.object):
                delete(self._writer, resource, name, wanted)
        return listed


def _token(revision: int, after: Name) -> str:
    return base64.urlsafe_b64encode(json.dumps([revision, *after]).encode()).decode()


def _named(kind: str) -> Resource:

    return Resource("meta.k8s.io", "v1", "", kind)
