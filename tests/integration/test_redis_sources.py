"""A pool whose Redis is named by Secrets and ConfigMaps, before a whole operator."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import redis
from tests.support.api_cluster import ApiCluster
from tests.support.operator import RunningOperator
from tests.support.shop import Shop, installed
from tests.support.tls import tls_before
from tests.support.workerpools import CRD_FILE

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis

OLD, NEW = "old-s3cret", "new-s3cret"


@pytest.fixture
def guarded() -> Iterator[EmbeddedRedis]:
    """A Redis that asks the user `watcher` for a password."""
    with EmbeddedRedis() as server:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("ACL", "SETUSER", "watcher", "on", f">{OLD}", "+@all", "~*", "&*")
        yield server


@pytest.fixture
async def shop(cluster: ApiCluster, namespace: str, guarded: EmbeddedRedis, tmp_path: Path) -> Shop:
    await cluster.install_crd(CRD_FILE)
    return await installed(cluster, namespace, guarded.url, tmp_path)


@pytest.fixture
async def operator(shop: Shop) -> AsyncIterator[RunningOperator]:
    async with shop.operating("--interval", "0.1") as running:
        yield running


async def test_waits_for_a_secret_and_follows_it_when_it_changes(
    shop: Shop, operator: RunningOperator, guarded: EmbeddedRedis
) -> None:
    ref = {"name": "redis", "key": "url"}
    await shop.open_pool(redis={"urlFrom": {"secretKeyRef": ref}}, minReplicas=1)
    await shop.open_pool("other")
    missing = await shop.until_condition("Ready", lambda status, *_: status == "False")

    await _put(shop, "Secret", "redis", address=_url(guarded, OLD))
    lacking = await shop.until_condition("Ready", lambda _status, _reason, message: "has no key" in message)
    await _put(shop, "Secret", "redis", url=_url(guarded, OLD))
    shop.arrive(60)
    await shop.until_replicas(3)
    await shop.until_replicas(3, "other")  # which never waited for anybody

    with redis.Redis.from_url(guarded.url) as client:  # as one rotates: both are good, then the old one is not
        client.execute_command("ACL", "SETUSER", "watcher", f">{NEW}", f"<{OLD}")
        client.client_kill_filter(user="watcher")
    await shop.until_condition("Ready", lambda _status, _reason, message: "refuses the user" in message)
    assert await shop.replicas() == 3
    await _put(shop, "Secret", "redis", url=_url(guarded, NEW))
    await shop.until_condition("Ready", lambda status, *_: status == "True")
    shop.arrive(40)
    await shop.until_replicas(5)

    assert missing[1:] == (
        "RedisUnavailable",
        f'Redis of the pool with its URL in key "url" of Secret {shop.namespace}/redis cannot be read: '
        f"there is no Secret {shop.namespace}/redis; make it, or name another one",
    )
    assert f'Secret {shop.namespace}/redis has no key "url"; write it there' in lacking[2]
    await _nothing_tells(shop, operator, OLD, NEW)


async def test_hands_the_workers_references_and_no_secret(
    shop: Shop, operator: RunningOperator, guarded: EmbeddedRedis
) -> None:
    async with tls_before(guarded.port) as tls:
        await _put(shop, "Secret", "login", user="watcher", password=OLD + "\n")
        await _put(shop, "ConfigMap", "authorities", **{"ca.crt": tls.authority})
        await shop.open_pool(
            redis={
                "url": tls.url,
                "usernameFrom": {"secretKeyRef": {"name": "login", "key": "user"}},
                "passwordFrom": {"secretKeyRef": {"name": "login", "key": "password"}},
                "tls": {"caFrom": {"configMapKeyRef": {"name": "authorities", "key": "ca.crt"}}},
            }
        )
        shop.arrive(60)
        await shop.until_replicas(3)

    made = await shop.deployment()
    assert made is not None
    pod = made["spec"]["template"]["spec"]
    variables = {it["name"]: it.get("value") or it["valueFrom"] for it in pod["containers"][0]["env"]}
    assert variables["REDIS_URL"] == tls.url
    assert variables["CREWCALL_REDIS_USERNAME"] == {"secretKeyRef": {"name": "login", "key": "user"}}
    assert variables["CREWCALL_REDIS_PASSWORD"] == {"secretKeyRef": {"name": "login", "key": "password"}}
    assert variables["CREWCALL_REDIS_CA"] == "/etc/crewcall/redis-ca/ca.pem"
    (volume,) = pod["volumes"]
    assert volume["configMap"]["items"] == [{"key": "ca.crt", "path": "ca.pem"}]
    await _nothing_tells(shop, operator, OLD)


async def _put(shop: Shop, kind: str, name: str, **values: str) -> None:
    """Make the object, or make it anew."""
    if await shop.cluster.find(kind, shop.namespace, name) is not None:
        await shop.cluster.delete(kind, shop.namespace, name)
    is_secret = kind == "Secret"
    data = {key: base64.b64encode(it.encode()).decode() if is_secret else it for key, it in values.items()}
    metadata = {"name": name, "namespace": shop.namespace}
    await shop.cluster.create({"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data})


def _url(server: EmbeddedRedis, password: str) -> str:
    return f"redis://watcher:{password}@127.0.0.1:{server.port}/0"


async def _nothing_tells(shop: Shop, operator: RunningOperator, *secrets: str) -> None:
    """Neither status, Events and the Deployment nor log and metrics hold any of these."""
    told = [str(await shop.cluster.list(kind, shop.namespace)) for kind in ("WorkerPool", "Event", "Deployment")]
    async with aiohttp.ClientSession(f"http://{operator.address}") as session:
        told.append(await (await session.get("/metrics")).text())
    everything = "\n".join([*told, *operator.log])
    assert len(everything) > 1000
    assert [secret for secret in secrets if secret in everything] == []
