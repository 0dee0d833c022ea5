"""The server itself: a port, the parts behind it, and what a test may do to it while it runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from tests.support.apiserver import failures
from tests.support.apiserver.access import ADMIN, Access
from tests.support.apiserver.answering import Answering
from tests.support.apiserver.catalog import Catalog
from tests.support.apiserver.collector import Collector
from tests.support.apiserver.deployments import DeploymentController
from tests.support.apiserver.faults import Faults
from tests.support.apiserver.journal import Journal
from tests.support.apiserver.pods import Kubelet, PodOptions
from tests.support.apiserver.replicasets import ReplicaSetController
from tests.support.apiserver.store import Store, encode
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
        self._answering = Answering(self.writer, self.access, self.faults, self.journal, self.options.bookmark_interval)
        self._controllers = [
            Collector(self.writer),
            DeploymentController(self.writer),
            ReplicaSetController(self.writer),
            self.kubelet,
        ]
        self._runner = web.ServerRunner(web.Server(self._answering.handle, handler_cancellation=True, access_log=None))
        self._site: web.SockSite | None = None
        self._port = 0
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
        self._answering.is_resetting = resets
        if not resets and self._site:
            await self._site.stop()
            self._site = None
        self._break_connections()

    async def come_back(self) -> None:
        """Serve again, on the same port and with the same state."""
        self._answering.is_resetting = False
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
