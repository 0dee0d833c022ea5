"""The rights that the chart grants are exactly those that an operator asks for: none is missing, and none is idle."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis
from tests.support.api_cluster import ApiCluster
from tests.support.rights import NAMESPACE, RELEASE, RULES, Right, granted, lease_rules, rights
from tests.support.shop import Shop
from tests.support.tls import tls_before
from tests.support.waiting import until
from tests.support.workerpools import ABSENT, CRD_FILE

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.wire import WorkerRecord, WorkerState

#: No request asks for it: an admission plugin does, on whoever makes an object that holds up its owner's deletion
#: (OwnerReferencesPermissionEnforcement, kubernetes.io/docs/reference/access-authn-authz/admission-controllers).
ASKED_BY_ADMISSION = {Right("update", "workerpools.crewcall.dev/finalizers")}

ALL = set(rights(RULES)) | set(rights(lease_rules()))


@pytest.fixture
def server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as found:
        yield found


@pytest.mark.parametrize("served", [(), ("shop",)], ids=["everywhere", "in a namespace"])
async def test_asks_for_every_right_it_is_given_and_for_no_other(
    memory: ApiCluster, server: EmbeddedRedis, tmp_path: Path, served: tuple[str, ...]
) -> None:
    token = await _granted(memory, served=served)

    async with _living(memory, server, token, tmp_path, served) as life:
        await life

    assert _asked(memory, token, refused=False) == ALL - ASKED_BY_ADMISSION
    assert _asked(memory, token, refused=True) == set()


@pytest.mark.slow
@pytest.mark.parametrize("right", sorted(ALL - ASKED_BY_ADMISSION), ids=" ".join)
async def test_misses_each_right_that_is_taken_away(
    memory: ApiCluster, server: EmbeddedRedis, tmp_path: Path, right: Right
) -> None:
    token = await _granted(memory, less=right)

    async with _living(memory, server, token, tmp_path):
        await until(lambda: right in _asked(memory, token, refused=True), f"{right} is refused")


async def _granted(cluster: ApiCluster, served: tuple[str, ...] = (), less: Right | None = None) -> str:
    for name in (NAMESPACE, "shop"):
        await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return await granted(cluster, served=served, less=less)


def _asked(cluster: ApiCluster, token: str, *, refused: bool) -> set[Right]:
    """What was asked for with that token, and was forbidden or was not."""
    assert cluster.server is not None
    found = [it for it in cluster.server.journal.find(token=token) if it.resource and (it.status == 403) is refused]
    return {Right(it.verb, it.resource + (f"/{it.subresource}" if it.subresource else "")) for it in found}


@asynccontextmanager
async def _living(
    cluster: ApiCluster, server: EmbeddedRedis, token: str, folder: Path, served: tuple[str, ...] = ()
) -> AsyncIterator[asyncio.Task[None]]:
    """An operator with that token meets all that there is to do, in the task that is given."""
    await cluster.install_crd(CRD_FILE)
    kubeconfig = cluster.write_kubeconfig(folder, token=token, namespace=NAMESPACE)
    options = (f"--lease={RELEASE}", *(f"--namespace={it}" for it in served))
    shop = Shop(cluster, "shop", server.url, kubeconfig, options)
    async with tls_before(server.port) as tls:
        secret = {name: base64.b64encode(name.encode()).decode() for name in ("user", "password")}
        metadata = {"name": "redis", "namespace": "shop"}
        await cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": secret})
        ca = {"ca.crt": tls.authority}
        await cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": ca})
        with redis.Redis(port=server.port, decode_responses=True) as client:
            client.execute_command("ACL", "SETUSER", "user", "on", ">password", "+@all", "~*", "&*")
            async with shop.operating("--interval", "0.1", until="serving /metrics"):
                life = asyncio.create_task(_life(shop, tls.url))
                yield life
                life.cancel()
                await asyncio.gather(life, return_exceptions=True)


async def _life(shop: Shop, url: str) -> None:
    await shop.open_pool("waiting", template=ABSENT, deploymentRef={"name": "not-there"})
    await shop.open_pool(
        redis={
            "url": url,
            "usernameFrom": {"secretKeyRef": {"name": "redis", "key": "user"}},
            "passwordFrom": {"secretKeyRef": {"name": "redis", "key": "password"}},
            "tls": {"caFrom": {"configMapKeyRef": {"name": "redis", "key": "ca.crt"}}},
        }
    )
    shop.arrive(60)
    await shop.until_replicas(3)
    await shop.change_pool({"template": {"spec": {"containers": [{"name": "worker", "image": "example/2"}]}}})
    await shop.cluster.until(lambda: _has_image(shop, "example/2"), "the new template")
    names = await shop.cluster.until(lambda: _pods(shop), "three pods run")
    shop.finish()
    with redis.Redis.from_url(shop.url, decode_responses=True) as client:
        await shop.cluster.until(lambda: _have_drained(shop, client, names), "the workers drain and go")
    await shop.until_condition("Ready", lambda status, *_: status == "True")
    await until(lambda: _asked_for_events(shop), "an Event is told of")


def _asked_for_events(shop: Shop) -> bool:
    assert shop.cluster.server is not None
    return bool(shop.cluster.server.journal.find(resource="events", verb="create"))


async def _has_image(shop: Shop, image: str) -> bool:
    found = await shop.deployment()
    return found is not None and found["spec"]["template"]["spec"]["containers"][0]["image"] == image


async def _pods(shop: Shop) -> list[str] | None:
    found = [it for it in await shop.cluster.list("Pod", "shop") if "deletionTimestamp" not in it["metadata"]]
    new = [it for it in found if it["spec"]["containers"][0]["image"] == "example/2"]
    are_there = len(found) == len(new) == 3 and all(it.get("status", {}).get("phase") == "Running" for it in new)
    return [it["metadata"]["name"] for it in new] if are_there else None


async def _have_drained(shop: Shop, client: redis.Redis, pods: list[str]) -> bool:
    """Whether all replicas have gone. Their workers tell that they do as they are ordered, and have nothing to do."""
    pool, keys, at_ms = wire.pool_name("shop", "notifications"), wire.Keys(), int(time.time() * 1000)
    for pod in pods:
        state = WorkerState.DRAINED if client.hexists(keys.orders(pool), pod) else WorkerState.RUNNING
        record = WorkerRecord(f"of-{pod}", state, pod, 1, 4, 0, 0, None, ("sms",), at_ms)
        client.hset(keys.workers(pool), record.worker, wire.write_worker(record))
    return await shop.replicas() == 0
