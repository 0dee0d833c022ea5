"""Reading, without HTTP: one object, or a list of them in pages.

A page is taken from what is there now, not from a snapshot as the real server's is; its resourceVersion is the first
page's all the same, and a token from before the history's beginning is answered with 410.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.apiserver import events, failures, scale, selectors
from tests.support.apiserver.access import User
from tests.support.apiserver.kinds import Object
from tests.support.apiserver.routes import Target
from tests.support.apiserver.store import Name, Record, Store, encode
from tests.support.apiserver.tables import as_table
from tests.support.apiserver.writes import Writing


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


def find(store: Store, target: Target) -> Record:
    """Raises a 404 `Failure`."""
    record = store.get(target.resource.key, (target.namespace, target.name))
    if record is None:
        raise failures.not_found(target.resource, target.name)
    return record


def get(store: Store, request: Request, now: str) -> Answer:
    """One object, or its scale, as JSON or as a table."""
    target, record = request.target, find(store, request.target)
    if target.subresource == "scale":
        return Answer(200, encode(scale.read(target.resource, record)))
    if "as=Table" in request.accept and target.resource.columns:
        return Answer(200, encode(as_table(target.resource, [record], now)))
    return shown(200, request, record)


def shown(status: int, request: Request, record: Record, writing: Writing | None = None) -> Answer:
    warnings = [f'unknown field "{path}"' for path in writing.unknown] if writing else []
    if request.target.resource.group == "events.k8s.io":
        return Answer(status, encode(events.from_core(record.object)), warnings)
    return Answer(status, record.encoded, warnings)


def list_(store: Store, request: Request, now: str) -> Answer:
    """A list, or the next page of one."""
    target, query = request.target, request.query
    resource, revision = target.resource, store.revision
    test = selectors.select(resource, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    asked = int(query.get("resourceVersion") or 0)
    if asked > revision:
        message = f"Timeout: Too large resource version: {asked}, current: {revision}"
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        raise failures.Failure(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})
    if query.get("resourceVersionMatch") == "Exact" and store.is_expired(resource.key, asked):
        raise failures.expired(f"The provided resource version is too old: {asked}")
    found = store.all(resource.key, target.namespace)
    if test is not None:
        found = [(name, record) for name, record in found if test(record.object)]
    metadata: Object = {"resourceVersion": str(revision), **({"continue": ""} if resource.is_custom else {})}
    if query.get("continue"):
        revision, start = _resume(store, resource.key, query["continue"])
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
        return Answer(200, encode(as_table(resource, records, now, metadata)))
    if resource.group == "events.k8s.io":
        items = [encode(events.from_core(record.object)) for record in records]
    elif resource.is_custom:
        items = [record.encoded for record in records]
    else:
        # Go's typed lists leave out what every item has in common.
        items = [encode({k: v for k, v in r.object.items() if k not in ("kind", "apiVersion")}) for r in records]
    head = encode({"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata})
    return Answer(200, head[:-1] + b',"items":[' + b",".join(items) + b"]}")


def _resume(store: Store, key: str, token: str) -> tuple[int, Name]:
    try:
        revision, namespace, name = json.loads(base64.urlsafe_b64decode(token))
    except ValueError as error:
        raise failures.bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    start = (namespace, name)
    if store.is_expired(key, revision):
        raise failures.expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new "
            "list without the continue parameter, or use the continue token in this response to retrieve the "
            "remainder of the results. Continuing with the provided token results in an inconsistent list - "
            "objects that were created, modified, or deleted between the time the first chunk was returned and now "
            "may show up in the list.",
            _token(store.revision, start),
        )
    return revision, start


def _token(revision: int, after: Name) -> str:
    return base64.urlsafe_b64encode(json.dumps([revision, *after]).encode()).decode()
