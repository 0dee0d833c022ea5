"""Several operators that share the pools of a cluster by their labels: each has its own, and a pool can move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.support.api_cluster import ApiCluster
from tests.support.operator import RunningOperator
from tests.support.shop import Shop, existing_deployment, installed
from tests.support.waiting import DEADLINE, until
from tests.support.workerpools import ABSENT, CRD_FILE

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis


@pytest.fixture
def redis() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
async def shop(cluster: ApiCluster, namespace: str, redis: EmbeddedRedis, tmp_path: Path) -> Shop:
    await cluster.install_crd(CRD_FILE)
    return await installed(cluster, namespace, redis.url, tmp_path, release="crewcall-a")


@pytest.fixture
async def shards(shop: Shop, tmp_path: Path) -> AsyncIterator[dict[str, RunningOperator]]:
    """Operators of two releases that both lead, each over its own part."""
    folder = tmp_path / "b"
    folder.mkdir()
    other = await installed(shop.cluster, shop.namespace, shop.url, folder, release="crewcall-b")
    async with (
        shop.operating("--selector", "shard=a", until="leading") as a,
        other.operating("--selector", "shard=b", until="leading") as b,
    ):
        yield {"a": a, "b": b}


async def test_each_serves_its_own_pools_and_nobody_serves_the_others(
    shop: Shop, shards: dict[str, RunningOperator]
) -> None:
    shop.arrive(20)
    for name, labels in {"one": {"shard": "a"}, "two": {"shard": "b"}, "nobodys": {}}.items():
        await open_pool(shop, name, labels)
    await shop.until_replicas(1, "one")
    await shop.until_replicas(1, "two")

    await until(lambda: told_of(shards["a"]) and told_of(shards["b"]), "both tell of it")
    assert (told_of(shards["a"]), told_of(shards["b"])) == ({"one"}, {"two"})
    assert await shop.deployment("nobodys") is None


async def test_a_pool_moves_with_its_label_and_keeps_its_replicas(
    shop: Shop, shards: dict[str, RunningOperator]
) -> None:
    shop.arrive(60)
    await open_pool(shop, "one", {"shard": "a"})
    await shop.until_replicas(3, "one")

    await move_to_b(shop, shards, "one")
    shop.arrive(20)
    await shop.until_replicas(4, "one")

    # The change comes before the line that tells of it.
    await until(lambda: told_of(shards["b"]) == {"one"}, "the second tells of it")
    assert "3 -> 4" not in "".join(shards["a"].log)


async def test_a_pool_that_moves_does_not_give_back_what_it_borrows(
    shop: Shop, shards: dict[str, RunningOperator]
) -> None:
    await shop.cluster.create(existing_deployment(shop.namespace, "one", replicas=1))
    shop.arrive(60)
    await open_pool(shop, "one", {"shard": "a"}, template=ABSENT, deploymentRef={"name": "one"})
    await shop.until_replicas(3, "one")

    await move_to_b(shop, shards, "one")
    shop.arrive(20)
    await shop.until_replicas(4, "one")

    await until(lambda: told_of(shards["b"]), "the second tells of it")
    changes = [line.split(": ")[2].split(" B")[0] for line in shards["b"].log if " -> " in line]
    assert changes == ["3 -> 4"]


async def test_is_told_of_a_selector_that_cannot_be_read(shop: Shop) -> None:
    async with shop.operating("--selector", "shard in", until="waiting for the cluster") as running:
        await until(lambda: "unable to parse" in "".join(running.log), "the operator says why")


async def open_pool(shop: Shop, name: str, labels: dict[str, Any], **spec: Any) -> None:
    await shop.open_pool(name, **spec)
    await shop.cluster.patch("WorkerPool", shop.namespace, name, {"metadata": {"labels": labels}})


async def move_to_b(shop: Shop, shards: dict[str, RunningOperator], name: str) -> None:
    """Give a pool the other label, until the first operator has heard of it and the second looks after it."""
    await shop.cluster.patch("WorkerPool", shop.namespace, name, {"metadata": {"labels": {"shard": "b"}}})
    served = f'crewcall_pool_current_replicas{{namespace="{shop.namespace}",pool="{name}"}}'

    async def is_moved() -> bool:
        return [served in await metrics(shards[shard]) for shard in ("a", "b")] == [False, True]

    await shop.cluster.until(is_moved, f"{name} is served by the second operator only", DEADLINE)


async def metrics(running: RunningOperator) -> str:
    async with aiohttp.ClientSession(f"http://{running.address}") as session:
        return await (await session.get("/metrics")).text()


def told_of(running: RunningOperator) -> set[str]:
    """The pools whose replicas this one has changed, by its log."""
    return {line.split(": ")[1].split("/")[1] for line in running.log if " -> " in line}
