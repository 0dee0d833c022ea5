"""A Kubernetes API that tests talk to in plain dicts: our own server, or a real kube-apiserver.

The tests need not know which it is; what only one of them can do is in `capabilities`. Paths follow
kubernetes.io/docs/reference/using-api/api-concepts.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yaml
from tests.support.api_kinds import KINDS, Kind
from tests.support.apiserver import ApiServer
from tests.support.waiting import DEADLINE

Object = dict[str, Any]
Found = TypeVar("Found")

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What there is beside the API: controllers that make pods of Deployments, and something that runs those pods."""

    has_pods: bool
    runs_pods: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, whatever its status."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Refused(Exception):
    """The API answered with a failure. `body` is its Status."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.status}: {reply.body}")
        self.status = reply.status
        self.body = reply.body

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Field and message of everything that was wrong, each once, in order of the fields."""
        causes = self.body.get("details", {}).get("causes", ())
        return sorted({(cause.get("field", ""), cause["message"]) for cause in causes})


@dataclass(slots=True)
class ApiCluster:
    """One API server as one user sees it. Every call that is refused raises `Refused`."""

    url: str
    token: str
    capabilities: Capabilities
    server: ApiServer | None = None
    kinds: dict[str, Kind] = field(default_factory=lambda: dict(KINDS))
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> ApiCluster:
        # A test's control plane has a certificate of its own making; there is nobody to impersonate it on loopback.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        headers = {"Authorization": f"Bearer {self.token}", "User-Agent": "crewcall-tests/1"}
        self._session = aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(ssl=context))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    def write_kubeconfig(self, folder: Path, *, token: str = "", namespace: str = "default") -> Path:
        """A kubeconfig for this API, for a user of another token if one is given."""
        named = {"name": "test"}
        cluster = (
            {"server": self.url, "insecure-skip-tls-verify": True} if "https" in self.url else {"server": self.url}
        )
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{**named, "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
            "clusters": [{**named, "cluster": cluster}],
            "users": [{**named, "user": {"token": token or self.token}}],
        }
        file = folder / "kubeconfig"
        file.write_text(yaml.safe_dump(config))
        return file

    def path(self, kind: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
        return self.kinds[kind].path(namespace, name, subresource)

    async def table(self, kind: str, namespace: str = "") -> Object:
        """A list as kubectl prints it."""
        return dict(await self._must("GET", self.path(kind, namespace), accept=TABLE))

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        media_type: str = "application/json",
        accept: str = "application/json",
        **query: str,
    ) -> Reply:
        """One request, answered with whatever came. A `body` of bytes is sent as it is; `_` ends a query's keyword."""
        assert self._session is not None
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": media_type, "Accept": accept}
        parameters = {name.rstrip("_"): value for name, value in query.items()}
        async with self._session.request(method, self.url + path, data=data, headers=headers, params=parameters) as got:
            text = await got.text()
            is_json = got.content_type == "application/json"
            return Reply(got.status, json.loads(text) if is_json else text, dict(got.headers))

    async def _must(self, method: str, path: str, body: Any = None, **more: str) -> Any:
        reply = await self.ask(method, path, body, **more)
        if reply.status >= 400:
            raise Refused(reply)
        return reply.body

    def _of(self, body: Mapping[str, Any]) -> tuple[str, str, str]:
        metadata = body["metadata"]
        return body["kind"], metadata.get("namespace", ""), metadata.get("name", "")

    async def create(self, body: Object, **query: str) -> Object:
        kind, namespace, _ = self._of(body)
        return dict(await self._must("POST", self.path(kind, namespace), body, **query))

    async def replace(self, body: Object, subresource: str = "", **query: str) -> Object:
        return dict(await self._must("PUT", self.path(*self._of(body), subresource), body, **query))

    async def apply(self, body: Object, manager: str, subresource: str = "", **query: str) -> Object:
        """Server-side apply."""
        path = self.path(*self._of(body), subresource)
        return dict(await self._must("PATCH", path, body, media_type=APPLY, fieldManager=manager, **query))

    async def get(self, kind: str, namespace: str, name: str, subresource: str = "", **query: str) -> Object:
        return dict(await self._must("GET", self.path(kind, namespace, name, subresource), **query))

    async def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object, None where there is none."""
        try:
            return await self.get(kind, namespace, name)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    async def list(self, kind: str, namespace: str = "", **query: str) -> list[Object]:
        found = await self._must("GET", self.path(kind, namespace), **query)
        return list(found["items"])

    async def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        change: Any,
        *,
        media_type: str = MERGE,
        subresource: str = "",
        **query: str,
    ) -> Object:
        path = self.path(kind, namespace, name, subresource)
        return dict(await self._must("PATCH", path, change, media_type=media_type, **query))

    async def delete(self, kind: str, namespace: str, name: str, **query: str) -> Object:
        return dict(await self._must("DELETE", self.path(kind, namespace, name), **query))

    async def install_crd(self, file: Path) -> None:
        """Define the custom resource that a file describes, and wait until it is served."""
        await self.define(yaml.safe_load(await asyncio.to_thread(file.read_text)))

    async def define(self, definition: Object) -> None:
        try:
            await self.create(definition)
        except Refused as refused:
            if refused.body.get("reason") != "AlreadyExists":
                raise
        spec = definition["spec"]
        version = f"{spec['group']}/{spec['versions'][0]['name']}"
        kind = Kind(version, spec["names"]["plural"], spec["scope"] == "Namespaced")
        self.kinds[spec["names"]["kind"]] = kind

        async def is_served() -> bool:
            return (await self.ask("GET", kind.path(""))).status == 200

        await self.until(is_served, f"{kind.plural} served")

    async def until(self, look: Callable[[], Awaitable[Found | None]], what: str, within: float = DEADLINE) -> Found:
        """The first thing found that is true. Fails after `within` seconds without one, saying what was waited for."""
        end = asyncio.get_running_loop().time() + within
        while not (found := await look()):
            assert asyncio.get_running_loop().time() < end, f"not within {within:g} s: {what}"
            await asyncio.sleep(0.02)
        return found

    async def issue_token(self, namespace: str, service_account: str) -> str:
        """A token with which to be a service account."""
        path = self.path("ServiceAccount", namespace, service_account, "token")
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return str((await self._must("POST", path, body))["status"]["token"])

    @asynccontextmanager
    async def watching(self, kind: str, namespace: str = "", **query: str) -> AsyncIterator[AsyncIterator[Object]]:
        """The events of a watch, as they come."""
        assert self._session is not None
        parameters = {"watch": "true", **query}
        async with self._session.get(self.url + self.path(kind, namespace), params=parameters) as response:
            if response.status >= 400:
                raise Refused(Reply(response.status, await response.json(), dict(response.headers)))
            yield _events(response)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Object]:
    async for line in response.content:
        yield json.loads(line)
