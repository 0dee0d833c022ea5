"""The verbs on resources, without HTTP. Reading is in `reading`, and what a write may do in `writes`."""

from __future__ import annotations

from dataclasses import replace

from tests.support.apiserver import apply, events, failures, patches, scale, selectors
from tests.support.apiserver.access import Access
from tests.support.apiserver.deletion import Deletion, delete
from tests.support.apiserver.kinds import Object, Resource, clone
from tests.support.apiserver.ownership import Manager
from tests.support.apiserver.preconditions import check_name
from tests.support.apiserver.reading import Answer, Request, find, get, list_, shown
from tests.support.apiserver.reviews import review
from tests.support.apiserver.store import Record, encode
from tests.support.apiserver.writes import Writer, Writing


class Verbs:
    """Answers every verb but watch. Raises the `Failure` that the real server would answer with."""

    def __init__(self, writer: Writer, access: Access) -> None:
        self._writer = writer
        self._store = writer.store
        self._access = access

    def answer(self, request: Request) -> Answer:
        target = request.target
        if target.verb == "get":
            return get(self._store, request, self._writer.now())
        if target.verb == "list":
            return list_(self._store, request, self._writer.now())
        answer: Answer = getattr(self, f"_{target.verb}")(request)
        return answer

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
        return shown(201, request, self._writer.create(target.resource, target.namespace, body, writing), writing)

    def _token(self, request: Request) -> Answer:
        find(self._store, request.target)
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
            return self._scaled(request, find(self._store, target), request.body, writing)
        body = self._decoded(request)
        check_name(body.get("metadata") or {}, target.name)
        record = find(self._store, target)
        must = target.resource.is_custom or target.resource.key == "leases.coordination.k8s.io"
        metadata = body.get("metadata") or {}
        if must and metadata.get("name") == target.name and not metadata.get("resourceVersion"):
            cause = failures.invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise failures.invalid(replace(target.resource, kind=target.resource.plural), target.name, [cause])
        return shown(200, request, self._writer.replace(target.resource, record, body, writing), writing)

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
        writing, record = self._writing(request), find(self._store, target)
        if target.subresource == "scale":
            before = scale.read(resource, record, may_be_absent=True)
            # The version is a condition only where the patch itself names one.
            before["metadata"].pop("resourceVersion")
            return self._scaled(request, record, patches.patch(before, request.body, patches.MERGE, {}), writing)
        body = patches.patch(record.object, request.body, request.media_type, resource.schema)
        return shown(200, request, self._writer.replace(resource, record, body, writing), writing)

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
            return shown(201, request, created, writing)
        force = request.query.get("force") in ("true", "1")
        live = record.object
        merged, owners = apply.apply(live, record.owners, wanted, resource.schema, manager, force=force)
        if "resourceVersion" not in metadata:
            merged["metadata"].pop("resourceVersion", None)
        written = self._writer.replace(resource, record, merged, writing, owners)
        return shown(200, request, written, writing)

    def _delete(self, request: Request) -> Answer:
        target = request.target
        wanted = Deletion.read(request.body or {}, request.query)
        record, is_gone = delete(self._writer, target.resource, (target.namespace, target.name), wanted)
        if not is_gone or target.resource.key == "pods":
            return shown(200, request, record)
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
        target, listed = request.target, list_(self._store, request, self._writer.now())
        resource, query = target.resource, request.query
        test = selectors.select(resource, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        wanted = Deletion.read(request.body or {}, query)
        for name, record in self._store.all(resource.key, target.namespace):
            if test is None or test(record.object):
                delete(self._writer, resource, name, wanted)
        return listed


def _named(kind: str) -> Resource:

    return Resource("meta.k8s.io", "v1", "", kind)
