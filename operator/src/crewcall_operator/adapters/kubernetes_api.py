"""The gateway to the Kubernetes API server: JSON in, JSON out, over one HTTP session.

Configuration and credentials come from the `kubernetes` client, which knows kubeconfig files, service accounts and
credential plugins; the requests do not, since its generated methods cost several times the CPU of a plain one.
The token is asked for anew before each request, because a service account's is rotated while the operator runs.
What the objects mean belongs to the adapters that call this.

Every write passes here, so here it is guarded: none is sent, or waited for, by an operator that no longer leads.
"""

from __future__ import annotations

import asyncio
import json
import math
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import kubernetes.client
import kubernetes.config
import yaml

from crewcall_operator.core.leadership import Leadership, unopposed
from crewcall_operator.errors import ApiError, BadSetting

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

#: How a request ends that got no answer, or none that can be read.
_BROKEN = (aiohttp.ClientError, TimeoutError, json.JSONDecodeError)

Json = dict[str, Any]

#: Where a pod finds its own namespace (kubernetes.io/docs/tasks/run-application/access-api-from-pod).
IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

#: Objects to a page of a list, as client-go's pager asks for.
PAGE = 500


class KubernetesApi:
    """Requests to one API server. Every failure is an `ApiError` whose `status` is None where no answer came."""

    def __init__(
        self,
        configuration: kubernetes.client.Configuration,
        leadership: Leadership = unopposed,
        timeout: float = 10.0,
    ) -> None:
        """`timeout` is in seconds, for connecting and for each answer; writing ends with the `leadership`.

        Raises `BadSetting` where the certificates that the configuration names are none.
        """
        self._configuration = configuration
        self._leadership = leadership
        #: Told of each request that failed: its method, and the HTTP status or None where no answer came.
        self.failed: Callable[[str, int | None], None] = lambda *_: None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=_tls(configuration), limit=32),
            # Not in total: that would count the time in which a request waits for one of the connections.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout),
            headers={"User-Agent": "crewcall-operator"},
        )

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        return await self._request("GET", path, query=query)

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._request("POST", path, body)

    async def patch(self, path: str, body: object, kind: str = MERGE_PATCH) -> dict[str, Any]:
        return await self._request("PATCH", path, body, kind)

    async def list(self, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        """Every object of a collection, a page at a time; of those that `query` selects, such as by labelSelector."""
        token = ""
        while True:
            page = await self.get(path, limit=str(PAGE), **query, **({"continue": token} if token else {}))
            for item in page["items"]:
                yield item
            token = page["metadata"].get("continue", "")
            if not token:
                return

    async def watch(self, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        """The events of a watch, first what is there already, until the server ends it."""
        url, headers = self._url(path), {"Accept": "application/json", **self._authorization()}
        asked = {"watch": "true", **query}
        try:
            async with self._session.get(url, headers=headers, params=asked) as response:
                if response.status >= 400:
                    raise ApiError(response.status, f"WATCH {path}: {_why(response, await response.text())}")
                async for line in response.content:
                    yield json.loads(line)
        except _BROKEN as error:
            raise ApiError(None, f"WATCH {path}: {type(error).__name__} {error}".rstrip()) from error

    async def aclose(self) -> None:
        await self._session.close()

    async def _request(
        self,
        method: str,
        path: str,
        body: object = None,
        kind: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": kind, **self._authorization()}
        data = None if body is None else json.dumps(body)
        left = math.inf if method == "GET" else self._leadership()
        if left <= 0:
            raise ApiError(None, f"{method} {path}: not sent, for another operator may be leading")
        try:
            async with (
                asyncio.timeout(None if left == math.inf else left),
                self._session.request(method, self._url(path), data=data, headers=headers, params=query) as response,
            ):
                answer = await response.text()
                if response.status >= 400:
                    self.failed(method, response.status)
                    raise ApiError(response.status, f"{method} {path}: {_why(response, answer)}")
                parsed: dict[str, Any] = json.loads(answer)
                return parsed
        except _BROKEN as error:
            self.failed(method, None)
            raise ApiError(None, f"{method} {path}: {type(error).__name__} {error}".rstrip()) from error

    def _url(self, path: str) -> str:
        return str(self._configuration.host).rstrip("/") + path

    def _authorization(self) -> dict[str, str]:
        token = self._configuration.get_api_key_with_prefix("BearerToken", "authorization")
        if token:
            return {"Authorization": token}
        basic = self._configuration.username and self._configuration.get_basic_auth_token()
        return {"Authorization": basic} if basic else {}


def load_configuration(context: str | None = None) -> kubernetes.client.Configuration:
    """The service account's configuration inside a cluster, the kubeconfig's (KUBECONFIG, ~/.kube/config) outside.

    A `context` is one of the kubeconfig's. Raises `kubernetes.config.ConfigException` where there is neither.
    """
    configuration = kubernetes.client.Configuration()
    if context is None:
        with suppress(kubernetes.config.ConfigException):
            kubernetes.config.load_incluster_config(client_configuration=configuration)
            return configuration
    try:
        kubernetes.config.load_kube_config(context=context, client_configuration=configuration)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError) as error:  # of what is none
        place = kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION
        raise kubernetes.config.ConfigException(f"{place} is no kubeconfig: {' '.join(str(error).split())}") from error
    return configuration


def home_namespace() -> str:
    """The namespace of the pod that this runs in, or else the one that the kubeconfig's context names."""
    if IN_CLUSTER.exists():
        return IN_CLUSTER.read_text(encoding="utf-8").strip()
    try:
        _, active = kubernetes.config.list_kube_config_contexts()
    except kubernetes.config.ConfigException:
        return "default"
    return str(active["context"].get("namespace") or "default")


def _tls(configuration: kubernetes.client.Configuration) -> ssl.SSLContext | bool:
    if not configuration.host.startswith("https:"):
        return True
    authority, certificate = configuration.ssl_ca_cert, configuration.cert_file
    try:
        context = ssl.create_default_context(cafile=authority)
    except OSError as error:  # ssl.SSLError among them
        raise _unusable("certificate-authority", authority, error) from error
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        try:
            context.load_cert_chain(certificate, configuration.key_file)
        except OSError as error:
            raise _unusable("client-certificate", certificate, error) from error
    return context


def _unusable(setting: str, file: object, error: OSError) -> BadSetting:
    why = getattr(error, "reason", None) or error.strerror or str(error)
    return BadSetting(
        setting,
        file,
        f"it cannot be used: {why}. Expected a file in PEM; mend it in the kubeconfig, or set KUBECONFIG to another",
    )


def _why(response: aiohttp.ClientResponse, answer: str) -> str:
    """The message of the API server's Status object, or the bare HTTP status where a proxy answered."""
    try:
        return f"{response.status} {json.loads(answer)['message']}"
    except (json.JSONDecodeError, KeyError, TypeError):
        return f"{response.status} {response.reason}"
