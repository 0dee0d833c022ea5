"""A release of the chart's life on an API server: installed, upgraded, rolled back, removed, and installed anew.

By a real helm, and with a real operator that works as the account that helm has made.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.api_cluster import ApiCluster, Refused
from tests.support.chart import CHART, RELEASE, Chart
from tests.support.redis import RedisServer
from tests.support.shop import Shop
from tests.support.tools import ToolMissing, find_tool
from tests.support.workerpools import crd

DEFINITION = crd()["metadata"]["name"]

#: What a release makes beside the definition, and takes along when it goes.
MADE = ("Deployment", "Service", "ServiceAccount", "Role", "RoleBinding", "PodDisruptionBudget")


@dataclass(frozen=True, slots=True)
class Helm:
    """A helm that an administrator of this namespace's cluster runs."""

    program: Path
    kubeconfig: Path
    namespace: str

    async def install(self, chart: Path = CHART) -> None:
        where = f"watchNamespaces={{{self.namespace}}}"
        await self.run("install", RELEASE, str(chart), "--set", where)

    async def run(self, *words: str) -> str:
        command = [str(self.program), *words, "--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace]
        done = await asyncio.to_thread(
            subprocess.run, command, check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return str(done.stdout)

    async def upgrade(self, **values: Any) -> None:
        """As docs/upgrading.md has it."""
        changes = [word for name, value in values.items() for word in ("--set", f"{name.replace('_', '.')}={value}")]
        await self.run("upgrade", RELEASE, str(CHART), "--reset-then-reuse-values", *changes)


@pytest.fixture
def program() -> Path:
    try:
        return find_tool("helm")
    except ToolMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
async def helm(cluster: ApiCluster, namespace: str, program: Path, tmp_path: Path) -> Helm:
    if cluster.server is not None:
        pytest.skip("helm keeps its releases in protobuf, which our own API server does not read")
    await _without_definition(cluster)
    folder = tmp_path / "admin"
    folder.mkdir()
    return Helm(program, cluster.write_kubeconfig(folder, namespace=namespace), namespace)


async def test_a_release_is_installed_upgraded_rolled_back_removed_and_installed_anew(
    helm: Helm, cluster: ApiCluster, namespace: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    await helm.install(_older_chart(tmp_path))
    await cluster.define(crd())  # it is there; when it is served
    token = await cluster.issue_token(namespace, RELEASE)
    kubeconfig = cluster.write_kubeconfig(tmp_path, token=token, namespace=namespace)
    options = (f"--lease={RELEASE}", f"--namespace={namespace}", "--interval=0.1")
    shop = Shop(cluster, namespace, redis_server.url, kubeconfig, options)
    async with shop.operating() as operator:
        pool = await shop.open_pool()
        shop.arrive(60)
        await shop.until_replicas(3)

        older = await _fields(cluster)
        await helm.upgrade(replicas=3, rbac_readSecrets="false")
        assert await _fields(cluster) - older == {"cooldown"}
        assert await _reads_secrets(shop) is False
        assert (await _operator(shop))["replicas"] == 3

        assert not [line for line in operator.log if "forbidden" in line]

        await helm.upgrade(operator_leaderElection="false", replicas=1)  # takes the rights to the Lease along
        assert (await _operator(shop))["strategy"] == {"type": "Recreate"}

        await helm.run("rollback", RELEASE, "1")
        assert await _reads_secrets(shop) is True
        rolled = await _operator(shop)
        assert (rolled["replicas"], rolled["strategy"]["type"]) == (2, "RollingUpdate")

        shop.arrive(20)
        await shop.until_replicas(4)

    await helm.run("uninstall", RELEASE)
    assert {kind: await cluster.find(kind, namespace, RELEASE) for kind in MADE} == dict.fromkeys(MADE)
    kept = await cluster.get("WorkerPool", namespace, "notifications")
    assert (kept["metadata"]["uid"], await shop.replicas()) == (pool["metadata"]["uid"], 4)

    await helm.install()
    assert (await _operator(shop))["replicas"] == 2
    again = await cluster.get("WorkerPool", namespace, "notifications")
    assert again["metadata"]["uid"] == pool["metadata"]["uid"]


async def test_the_election_can_be_taken_away_and_given_back(
    cluster: ApiCluster, namespace: str, program: Path
) -> None:
    """By server-side apply, as Helm 4 upgrades."""
    strategies = []
    for is_elected in (True, False, True):
        wanted = Chart(program).render_one("Deployment", {"operator": {"leaderElection": is_elected}})
        wanted["metadata"]["namespace"] = namespace
        strategies.append((await cluster.apply(wanted, "helm"))["spec"]["strategy"]["type"])

    assert strategies == ["RollingUpdate", "Recreate", "RollingUpdate"]


async def _operator(shop: Shop) -> dict[str, Any]:
    """The spec of the operator's Deployment."""
    found = await shop.deployment(RELEASE)
    assert found is not None
    return dict(found["spec"])


async def _reads_secrets(shop: Shop) -> bool:
    role = await shop.cluster.get("Role", shop.namespace, RELEASE)
    return any("secrets" in rule["resources"] for rule in role["rules"])


async def _fields(cluster: ApiCluster) -> set[str]:
    """Those of a pool's spec, as the definition has them."""
    found = await cluster.get("CustomResourceDefinition", "", DEFINITION)
    return set(_spec(found)["properties"])


def _spec(definition: dict[str, Any]) -> dict[str, Any]:
    (version,) = definition["spec"]["versions"]
    return dict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def _older_chart(folder: Path) -> Path:
    """The chart as it was before there was a field in the definition."""
    chart = folder / "older"
    shutil.copytree(CHART, chart)
    definition = deepcopy(crd())
    del _spec(definition)["properties"]["cooldown"]
    (chart / "files" / "workerpool.yaml").write_text(yaml.safe_dump(definition))
    return chart


async def _without_definition(cluster: ApiCluster) -> None:
    """What is there was made by other tests, and not by helm, which leaves it to those."""
    with suppress(Refused):  # there is none
        await cluster.delete("CustomResourceDefinition", "", DEFINITION)

    async def is_gone() -> bool:
        return await cluster.find("CustomResourceDefinition", "", DEFINITION) is None

    await cluster.until(is_gone, "the definition is gone")
