"""The clusters of the integration tests: our own API server always, a real kube-apiserver where there is one."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.api_cluster import ApiCluster, Capabilities
from tests.support.apiserver import ApiServer
from tests.support.control_plane import ASSETS, control_plane
from tests.support.crews import CREW_DEFINITION

SERVERS = ["memory", "kube-apiserver"] if ASSETS else ["memory"]


@pytest.fixture(scope="session")
def real_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiCluster]:
    """A real control plane, one for the whole session; every test has a namespace of its own in it."""
    with control_plane(Path(ASSETS), tmp_path_factory.mktemp("control-plane")) as found:
        yield found


@asynccontextmanager
async def in_memory() -> AsyncIterator[ApiCluster]:
    async with ApiServer() as server:
        capabilities = Capabilities(has_pods=True, runs_pods=True)
        async with ApiCluster(server.url, server.token, capabilities, server) as cluster:
            yield cluster


@pytest.fixture
async def memory() -> AsyncIterator[ApiCluster]:
    """Our own API server, for tests that inject faults or read its journal: `memory.server` is it."""
    async with in_memory() as cluster:
        yield cluster


@pytest.fixture(params=SERVERS)
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[ApiCluster]:
    """Each of the API servers in turn. Tests marked `pods` are skipped where nothing makes pods of Deployments."""
    if request.param == "memory":
        async with in_memory() as own:
            yield own
        return
    found: ApiCluster = request.getfixturevalue("real_cluster")
    if request.node.get_closest_marker("pods") and not found.capabilities.has_pods:
        pytest.skip(f"there is no kube-controller-manager in {ASSETS} to make pods of Deployments")
    async with replace(found, kinds=dict(found.kinds), _session=None) as entered:
        yield entered


@pytest.fixture
async def namespace(cluster: ApiCluster) -> AsyncIterator[str]:
    """A namespace of the test's own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    await cluster.delete("Namespace", "", name)


@pytest.fixture
async def crews(cluster: ApiCluster) -> ApiCluster:
    """A cluster that knows the kind Crew."""
    await cluster.define(CREW_DEFINITION)
    return cluster
