"""The server itself: a port, the parts behind it, and what a test may do to it while it runs."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import yaml
from aiohttp import web
from tests.support.apiserver import discovery, failures, routes, selectors, watching
from tests.support.apiserver.access import ADMIN, Access, Attributes
from tests.support.apiserver.builtins import BUILTINS
from tests.support.apiserver.catalog import Catalog
from tests.support.apiserver.collector import Collector
from tests.support.apiserver.deployments import DeploymentController
from tests.support.apiserver.failures import Failure
from tests.support.apiserver.faults import Faults, Reset
from tests.support.apiserver.journal import Entry, Journal
from tests.support.apiserver.pods import Kubelet, PodOptions
from tests.support.apiserver.replicasets import ReplicaSetController
from tests.support.apiserver.store import Store, encode
from tests.support.apiserver.verbs import Request, Verbs
from tests.support.apiserver.writes import Writer, Writing

_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a server is set up. `history` counts changes of one resource; `bookmark_interval` is in seconds.

    `now` is the wall clock behind timestamps. `runs_controllers` is whether Deployments make pods and owners are
    collected, as with a kube-controller-manager beside the server; `pods` is how those pods behave.
    """

    history: int = 100_000
    bookmark_interval: float = 60.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    runs_controllers: bool = True
    pods: PodOptions = field(default_factory=PodOptions)


class ApiServer:
    """A Kubernetes API server on a free loopback port, all in memory. An asynchronous context manager.

    `faults` makes requests fail, `journal` tells what was asked, `access` has the tokens, `kubelet` the pods' fate.
    """

    def __init__(self, options: ServerOptions | None = None) -> None:
        self.options = options or ServerOptions()
        self.store = Store(self.options.history)
        self.catalog = Catalog()
        self.writer = Writer(self.store, self.catalog, self.options.now)
        self.access = Access(self.store)
        self.token = self.access.issue(ADMIN)
        self.faults = Faults()
        self.journal = Journal()
        self.kubelet = Kubelet(self.writer, self.options.pods)
        self._verbs = Verbs(self.writer, self.access)
        self._controllers = [
            Collector(self.writer),
            DeploymentController(self.writer),
            ReplicaSetController(self.writer),
            self.kubelet,
        ]
        self._runner = web.ServerRunner(web.Server(self._handle, handler_cancellation=True, access_log=None))
        self._site: web.SockSite | None = None
        self._port = 0
        self._is_resetting = False
        self._tasks: list[asyncio.Task[None]] = []
        for name in _NAMESPACES:
            self.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> ApiServer:
        await self._runner.setup()
        await self._listen()
        if self.options.runs_controllers:
            self._tasks = [asyncio.create_task(it.run()) for it in self._controllers]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        self.faults.clear()
        self.store.cut()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._break_connections()
        await self._runner.cleanup()
        for result in results:
            # A controller that died is a defect of the server: better a loud end than a puzzle.
            if isinstance(result, Exception):
                raise result

    async def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        self._site = web.SockSite(self._runner, listener)
        await self._site.start()

    async def go_down(self, *, resets: bool = False) -> None:
        """Be gone: break every connection and refuse new ones, or (`resets`) accept and break them."""
        self._is_resetting = resets
        if not resets and self._site:
            await self._site.stop()
            self._site = None
        self._break_connections()

    async def come_back(self) -> None:
        """Serve again, on the same port and with the same state."""
        self._is_resetting = False
        if self._site is None:
            await self._listen()

    def _break_connections(self) -> None:
        if self._runner.server:
            for connection in list(self._runner.server.connections):
                if connection.transport:
                    connection.transport.abort()

    def cut_watches(self, resource: str = "") -> int:
        """End the running watches, of one resource (`deployments.apps`) or of all, without a word; says how many."""
        return self.store.cut(resource)

    def expire(self, *, tells_watches: bool = False) -> None:
        """Forget all history: older revisions are 410 from now on. Running watches go on, or are told so and end."""
        self.store.expire()
        if tells_watches:
            error = failures.expired(f"too old resource version: 1 ({self.store.revision})").status()
            self.store.cut(last=encode({"type": "ERROR", "object": error}) + b"\n")

    def create(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        """Put an object in from Python, past HTTP, the journal and the faults; `key` as in `deployments.apps`."""
        namespace = body["metadata"].get("namespace", "")
        return self.writer.create(self.catalog.stored(key), namespace, body, Writing("test")).object

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        agent = request.headers.get("User-Agent", "")
        entry = self.journal.open(
            Entry(request.method, request.path, request.query_string, agent, token, time.monotonic())
        )
        if self._is_resetting:
            return self._reset(request, entry)
        try:
            response = await self._answer(request, entry)
        except Reset:
            return self._reset(request, entry)
        except Failure as failure:
            response = self._failed(failure)
        if not entry.status:
            self.journal.answer(entry, response.status)
        return response

    def _reset(self, request: web.BaseRequest, entry: Entry) -> web.StreamResponse:
        if request.transport:
            request.transport.abort()
        self.journal.answer(entry, 0)
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
        target = routes.find(self.catalog, request.method, request.path, query)
        if target:
            entry.verb, entry.resource, entry.subresource = target.verb, target.resource.key, target.subresource
            entry.namespace, entry.name = target.namespace, target.name
        raw = await request.read() if request.body_exists else b""
        await self.faults.strike(entry)
        user = self.access.authenticate(entry.token)
        if target is None:
            self.access.authorize(user, Attributes(request.method.lower(), path=request.path))
            return self._discovered(request.path)
        self.access.authorize(user, target.attributes)
        if wrong := routes.no_method(target):
            raise wrong
        if target.verb == "watch":
            test = _selected(target, query)
            wanted = watching.Watch.read(target.resource, target.namespace, test, query, self.options.bookmark_interval)
            return await watching.stream(self.store, wanted, request, lambda: self.journal.answer(entry, 200))
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
        found = discovery.answer(path, self.catalog)
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
