"""From an HTTP request to its answer: who asks, what for, and whether a fault comes first."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import yaml
from aiohttp import web
from tests.support.apiserver import discovery, failures, routes, selectors, watching
from tests.support.apiserver.access import Access, Attributes
from tests.support.apiserver.builtins import BUILTINS
from tests.support.apiserver.failures import Failure
from tests.support.apiserver.faults import Faults, Reset
from tests.support.apiserver.journal import Entry, Journal
from tests.support.apiserver.reading import Request
from tests.support.apiserver.store import encode
from tests.support.apiserver.verbs import Verbs
from tests.support.apiserver.writes import Writer


class Answering:
    """Answers every request. `is_resetting` makes it break every connection instead."""

    def __init__(
        self, writer: Writer, access: Access, faults: Faults, journal: Journal, bookmark_interval: float
    ) -> None:
        self.is_resetting = False
        self._store = writer.store
        self._catalog = writer.catalog
        self._verbs = Verbs(writer, access)
        self._access = access
        self._faults = faults
        self._journal = journal
        self._bookmark_interval = bookmark_interval

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        # "bearer" in whatever case (k8s.io/apiserver/pkg/authentication/request/bearertoken); kubernetes' client, in a
        # pod, writes it small.
        scheme, _, told = request.headers.get("Authorization", "").partition(" ")
        token = told.strip() if scheme.lower() == "bearer" else scheme
        agent = request.headers.get("User-Agent", "")
        entry = self._journal.open(
            Entry(request.method, request.path, request.query_string, agent, token, time.monotonic())
        )
        if self.is_resetting:
            return self._reset(request, entry)
        try:
            response = await self._answer(request, entry)
        except Reset:
            return self._reset(request, entry)
        except Failure as failure:
            response = self._failed(failure)
        if not entry.status:
            self._journal.answer(entry, response.status)
        return response

    def _reset(self, request: web.BaseRequest, entry: Entry) -> web.StreamResponse:
        if request.transport:
            request.transport.abort()
        self._journal.answer(entry, 0)
        return web.Response()

    @staticmethod
    def _failed(failure: Failure) -> web.Response:
        if str(failure) == "404 page not found":
            return web.Response(status=404, text="404 page not found\n")
        return web.Response(
            status=failure.code,
            body=encode(failure.status()),
            content_type="application/json",
            headers=failure.headers,
        )

    async def _answer(self, request: web.BaseRequest, entry: Entry) -> web.StreamResponse:
        query = request.query
        target = routes.find(self._catalog, request.method, request.path, query)
        if target:
            entry.verb, entry.resource, entry.subresource = target.verb, target.resource.key, target.subresource
            entry.namespace, entry.name = target.namespace, target.name
        raw = await request.read() if request.body_exists else b""
        await self._faults.strike(entry)
        user = self._access.authenticate(entry.token)
        if target is None:
            self._access.authorize(user, Attributes(request.method.lower(), path=request.path))
            return self._discovered(request.path)
        self._access.authorize(user, target.attributes(query))
        if wrong := routes.no_method(target):
            raise wrong
        if target.verb == "watch":
            test = _selected(target, query)
            wanted = watching.Watch.read(target.resource, target.namespace, test, query, self._bookmark_interval)
            return await watching.stream(self._store, wanted, request, lambda: self._journal.answer(entry, 200))
        if request.content_type == "application/vnd.kubernetes.protobuf":
            # client-go tries again in JSON.
            raise failures.unsupported_media_type(["application/json", "application/yaml"])
        body = _parsed(raw, target.resource.kind)
        entry.media_type, entry.body = request.content_type, body
        answer = self._verbs.answer(
            Request(
                target,
                query,
                body,
                request.content_type,
                request.headers.get("Accept", ""),
                entry.agent,
                user,
            )
        )
        headers = [("Warning", f"299 - {json.dumps(text)}") for text in answer.warnings]
        return web.Response(status=answer.status, body=answer.body, content_type="application/json", headers=headers)

    def _discovered(self, path: str) -> web.Response:
        found = discovery.answer(path, self._catalog)
        if found is None:
            raise failures.unknown_resource() if _is_built_in(path) else failures.unknown_path()
        if isinstance(found, str):
            return web.Response(text=found)
        return web.Response(body=encode(found), content_type="application/json")


def _is_built_in(path: str) -> bool:
    parts = path.strip("/").split("/")
    return parts[0] == "api" or (len(parts) > 3 and any(it.group == parts[1] for it in BUILTINS))


def _selected(target: routes.Target, query: Any) -> selectors.Test | None:
    fields = query.get("fieldSelector", "")
    if target.name:
        fields = ",".join(filter(None, (fields, f"metadata.name={target.name}")))
    return selectors.select(target.resource, query.get("labelSelector", ""), fields)


def _parsed(raw: bytes, kind: str) -> Any:
    """A body's JSON or YAML. Raises a 400 `Failure`."""
    if not raw:
        return None
    with suppress(ValueError):
        return json.loads(raw)
    try:
        return yaml.safe_load(raw)
    except yaml.YAMLError as error:
        what = f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind"
        raise failures.bad_request(f"{what}; json parse error: {str(error).splitlines()[0]}") from error
