"""What `explain` and `top` ask of a cluster, with the rights of whoever asks, and its refusals in words.

Reads only. Deployments and Events that may not be read are left out: a page without them is better than none.
"""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

import kubernetes.config

from crewcall_operator.adapters.kubernetes_api import Json, KubernetesApi, load_configuration
from crewcall_operator.api.happenings import listed
from crewcall_operator.api.names import API_VERSION, GROUP, KIND, PLURAL
from crewcall_operator.errors import ApiError, BadSetting, CrewcallError
from crewcall_operator.inspection.explanation import Explanation, deployment_name, explain

DEFAULT_NAMESPACE = "default"


class CannotLook(CrewcallError):
    """The cluster could not be asked, or there is nothing to be told; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster, and the namespace that is meant where none is named."""

    api: KubernetesApi
    host: str
    namespace: str

    async def explain(self, name: str, namespace: str) -> Explanation:
        """Everything about one pool. Raises `CannotLook`."""
        try:
            body = await self.api.get(f"{_pools(namespace)}/{name}")
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise await self._missing(name, namespace) from error
            raise self._refused(error, namespace) from error
        query = f"involvedObject.kind={KIND},involvedObject.name={name}"
        deployment = await self._found(f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment_name(body)}")
        events = await self._found(f"/api/v1/namespaces/{namespace}/events", fieldSelector=query)
        return explain(body, deployment, (events or {}).get("items", ()))

    async def pools(self, namespace: str | None) -> list[Json]:
        """Every pool of a namespace, or of all. Raises `CannotLook`."""
        try:
            return [body async for body in self.api.list(_pools(namespace))]
        except ApiError as error:
            raise self._refused(error, namespace) from error

    async def _found(self, path: str, **query: str) -> Json | None:
        """None where it is not there or may not be read."""
        try:
            return await self.api.get(path, **query)
        except ApiError as error:
            if error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN):
                return None
            raise self._refused(error, None) from error

    async def _missing(self, name: str, namespace: str) -> CannotLook:
        """Why a pool was not found: no definition, another name, or another namespace."""
        there = [body["metadata"]["name"] for body in await self.pools(namespace)]
        words = f'there is no WorkerPool "{name}" in namespace {namespace}'
        if close := difflib.get_close_matches(name, there, n=1):
            return CannotLook(f'{words}; did you mean "{close[0]}"?')
        try:
            elsewhere = [body["metadata"] for body in await self.pools(None)]
        except CannotLook:  # somebody with rights in this namespace only
            elsewhere = []
        if others := sorted(found["namespace"] for found in elsewhere if found["name"] == name):
            return CannotLook(f"{words}, but there is one in {listed(others)}; try -n {others[0]}")
        known = f"there: {listed(sorted(there))}" if there else "there is none at all; crewcall top -A shows where"
        return CannotLook(f"{words} ({known})")

    def _refused(self, error: ApiError, namespace: str | None) -> CannotLook:
        where = "all namespaces; try -n NAMESPACE" if namespace is None else f"namespace {namespace}"
        if error.status is None:
            return CannotLook(f"the cluster at {self.host} does not answer: {error}")
        if error.status == HTTPStatus.UNAUTHORIZED:
            return CannotLook(f"the cluster at {self.host} does not accept your credentials; log in again")
        if error.status == HTTPStatus.FORBIDDEN:
            return CannotLook(f"you may not read {PLURAL}.{GROUP} in {where}\n(it takes get and list; {error})")
        if error.status == HTTPStatus.NOT_FOUND:
            return CannotLook(
                f"the cluster at {self.host} does not know WorkerPools; the chart installs their definition, "
                "or kubectl apply --server-side -f crds/workerpool.yaml"
            )
        return CannotLook(f"the cluster at {self.host} answered with an error: {error}")


@asynccontextmanager
async def connected(context: str | None) -> AsyncIterator[Cluster]:
    """The cluster of the kubeconfig, or of this pod. Raises `CannotLook` where there is neither."""
    try:
        configuration = load_configuration(context)
    except kubernetes.config.ConfigException as error:
        raise CannotLook(f"no cluster to ask: {error}\nSet KUBECONFIG, or choose a context with --context.") from error
    try:
        api = KubernetesApi(configuration)
    except BadSetting as error:
        raise CannotLook(str(error)) from error
    try:
        yield Cluster(api, configuration.host, _namespace(context))
    finally:
        await api.aclose()


def _pools(namespace: str | None) -> str:
    return (
        f"/apis/{API_VERSION}/{PLURAL}" if namespace is None else f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}"
    )


def _namespace(context: str | None) -> str:
    """That of the kubeconfig's context, as for kubectl."""
    try:
        contexts, current = kubernetes.config.list_kube_config_contexts()
    except kubernetes.config.ConfigException:  # in a pod
        return DEFAULT_NAMESPACE
    chosen = next((found for found in contexts if found["name"] == context), current)
    return str(chosen["context"].get("namespace") or DEFAULT_NAMESPACE)
