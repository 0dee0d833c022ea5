"""The gateway to the Kubernetes API server: JSON in, JSON out, over one HTTP session.

Configuration and credentials come from the `kubernetes` client, which knows kubeconfig files, service accounts and
credential plugins; the requests do not, since its generated methods cost several times the CPU of a plain one.
The token is asked for anew before each request, because a service account's is rotated while the operator runs.
What the objects mean belongs to the adapters that call this.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
import kubernetes.client
import kubernetes.config

from crewcall_operator.errors import ApiError

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

#: Refusals that may be none the next time.
PASSING = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})

Json = dict[str, Any]

#: Objects to a page of a list, as client-go's pager asks for.
PAGE = 500


class KubernetesApi:
    """Requests to one API server. Every failure is an `ApiError` whose `status` is None where no answer came."""

    def __init__(self, configuration: kubernetes.client.Configuration, timeout: float = 10.0) -> None:
        self._configuration = configuration
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
        url = self._configuration.host.rstrip("/") + path
        try:
            async with self._session.request(method, url, data=data, headers=headers, params=query) as response:
                answer = await response.text()
                if response.status >= 400:
                    raise ApiError(response.status, f"{method} {path}: {_why(response, answer)}")
                parsed: dict[str, Any] = json.loads(answer)
                return parsed
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
            raise ApiError(None, f"{method} {path}: {type(error).__name__} {error}".rstrip()) from error

    def _authorization(self) -> dict[str, str]:
        token = self._configuration.get_api_key_with_prefix("BearerToken", "authorization")
        if token:
            return {"Authorization": token}
        basic = self._configuration.username and self._configuration.get_basic_auth_token()
        return {"Authorization": basic} if basic else {}


def load_configuration() -> kubernetes.client.Configuration:
    """The service account's configuration inside a cluster, the kubeconfig's (KUBECONFIG, ~/.kube/config) outside.

    Raises `kubernetes.config.ConfigException` where there is neither.
    """
    configuration = kubernetes.client.Configuration()
    try:
        kubernetes.config.load_incluster_config(client_configuration=configuration)
    except kubernetes.config.ConfigException:
        kubernetes.config.load_kube_config(client_configuration=configuration)
    return configuration


def _tls(configuration: kubernetes.client.Configuration) -> ssl.SSLContext | bool:
    if not configuration.host.startswith("https:"):
        return True
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def _why(response: aiohttp.ClientResponse, answer: str) -> str:
    """The message of the API server's Status object, or the bare HTTP status where a proxy answered."""
    try:
        return f"{response.status} {json.loads(answer)['message']}"
    except (json.JSONDecodeError, KeyError, TypeError):
        return f"{response.status} {response.reason}"
