"""What the operator does when it was told of less than happened: it finds out, and till then changes nothing.

Only our own API server can be told to fail so; each test ends with a look at the operator's log.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import redis
from tests.support.api_cluster import ApiCluster
from tests.support.apiserver import ApiServer, Fault
from tests.support.apiserver.failures import Failure
from tests.support.apiserver.store import Record, event_line
from tests.support.operator import WATCHING, RunningOperator, operating
from tests.support.rights import RELEASE
from tests.support.sentinel import MASTER, watched
from tests.support.shop import Shop, arrive, installed
from tests.support.tls import tls_before
from tests.support.waiting import until
from tests.support.workerpools import CRD_FILE

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis

DEPLOYMENTS, POOLS = "deployments.apps", "workerpools.crewcall.dev"

#: For an operator's interpreter: its pod's files are in another directory, and its token is read again at once.
POD_FILES = """
import datetime, pathlib
from kubernetes.config import incluster_config as config
here = pathlib.Path(__file__).parent
config.SERVICE_TOKEN_FILENAME, config.SERVICE_CERT_FILENAME = str(here / "token"), str(here / "ca.crt")
made = config.InClusterConfigLoader.__init__
def __init__(self, *arguments, **words):
    made(self, *arguments, **words)
    self._token_refresh_period = datetime.timedelta(seconds=0.2)
config.InClusterConfigLoader.__init__ = __init__
"""


#: For an operator's interpreter: it is soon out of patience with watchers that do not begin.
IMPATIENCE = """
from crewcall_operator import watchers
watchers.BEGUN_WITHIN, watchers.ADRIFT = 3.0, 5.0
"""


@pytest.fixture
def own_redis() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
async def shop(memory: ApiCluster, own_redis: EmbeddedRedis, tmp_path: Path) -> Shop:
    await memory.install_crd(CRD_FILE)
    await memory.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    return await installed(memory, "shop", own_redis.url, tmp_path, everywhere=True)


@pytest.fixture
def server(shop: Shop) -> ApiServer:
    assert shop.cluster.server is not None
    return shop.cluster.server


@pytest.fixture
async def operator(shop: Shop) -> AsyncIterator[RunningOperator]:
    async with shop.operating() as running:
        yield running
        assert running.process.returncode is None
        assert not [line for line in running.log if "Traceback" in line or "Error:" in line]


@asynccontextmanager
async def deaf(server: ApiServer, resource: str) -> AsyncIterator[None]:
    """Within this no watch of these tells anything, and it is all forgotten when they tell again."""
    fault = server.faults.add(Fault(hang=True, verb="watch", resource=resource))
    server.cut_watches(resource)
    await until(lambda: fault.hits, "the operator asks to watch again")
    yield
    server.expire()
    fault.clear()
    server.faults.active.remove(fault)
    server.cut_watches(resource)


async def test_credentials_that_are_refused_for_a_while_are_tried_again(
    shop: Shop, server: ApiServer, operator: RunningOperator
) -> None:
    await shop.open_pool()
    await shop.until_condition("AbleToScale", lambda status, *_: status == "True")
    refused = server.faults.add(Fault(status=401))
    server.cut_watches()
    for resource in (POOLS, DEPLOYMENTS, "pods"):
        await until(partial(_is_refused, server, resource), f"two refusals of {resource}")
    refused.clear()

    await shop.open_pool("second")
    shop.arrive(60)

    await shop.until_replicas(3, "second")
    await shop.until_replicas(3)


async def test_follows_its_token_when_that_is_rotated(
    shop: Shop, server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "sitecustomize.py").write_text(POD_FILES)
    old = await shop.cluster.issue_token("shop", RELEASE)
    (files / "token").write_text(old)
    async with tls_before(int(server.url.rpartition(":")[2])) as tls:
        (files / "ca.crt").write_text(tls.authority)
        monkeypatch.setenv("PYTHONPATH", str(files))
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(tls.port))
        async with operating(tmp_path / "no-kubeconfig", f"--lease=shop/{RELEASE}") as operator:
            await shop.open_pool()
            shop.arrive(60)
            await shop.until_replicas(3)

            (files / "token").write_text(await shop.cluster.issue_token("shop", RELEASE))
            del server.access.tokens[old]
            server.cut_watches()
            await shop.open_pool("second")
            shop.arrive(20)
            await shop.until_replicas(4)
            await shop.until_replicas(4, "second")
            assert await operator.stop() == 0
        assert not [line for line in operator.log if "Traceback" in line]


async def test_an_error_in_every_watch_is_followed_by_another_watch(
    shop: Shop, server: ApiServer, operator: RunningOperator
) -> None:
    await shop.open_pool()
    await shop.until_condition("AbleToScale", lambda status, *_: status == "True")

    broken = Failure(500, "InternalError", "etcd has gone")
    server.store.cut(last=event_line("ERROR", Record(broken.status())))
    await until(lambda: "etcd has gone" in "\n".join(operator.log), "a word about it")
    await shop.open_pool("second")
    shop.arrive(60)

    await shop.until_replicas(3, "second")


@pytest.mark.slow
async def test_a_watch_that_fails_while_credentials_are_refused_is_followed_by_another(
    shop: Shop, server: ApiServer, operator: RunningOperator
) -> None:
    """kopf's watchers lose the cancellation then; it would wait for them for ever, and the operator with it."""
    await shop.open_pool()
    await shop.until_condition("AbleToScale", lambda status, *_: status == "True")

    refused = server.faults.add(Fault(status=401))
    server.store.cut(DEPLOYMENTS, last=event_line("ERROR", Record(Failure(500, "InternalError", "gone").status())))
    server.cut_watches()
    await until(lambda: refused.hits >= 5, "refusals")
    refused.clear()
    await until(lambda: "the watch has ended" in "\n".join(operator.log), "it gives up that watch")
    await shop.open_pool("second")
    shop.arrive(60)

    await shop.until_replicas(3, "second")


@pytest.mark.slow
async def test_lives_on_after_a_watch_was_refused(shop: Shop, server: ApiServer, operator: RunningOperator) -> None:
    """kopf would have killed the process 30 s later."""
    await until(lambda: server.journal.find(resource=POOLS, verb="watch", status=200), "it watches")
    server.store.cut(last=event_line("ERROR", Record(Failure(500, "InternalError", "etcd has gone").status())))
    await until(lambda: "etcd has gone" in "\n".join(operator.log), "a word about it")
    ends = asyncio.get_running_loop().time() + 33.0
    while asyncio.get_running_loop().time() < ends:
        assert operator.process.returncode is None
        await asyncio.sleep(0.2)


async def test_an_unhealthy_operator_asks_again_and_again_for_a_kind_that_the_api_server_does_not_tell_of(
    shop: Shop, server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kopf would never hear of a Deployment then, and never say so."""
    (tmp_path / "sitecustomize.py").write_text(IMPATIENCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    untold = server.faults.add(Fault(status=404, path="^/apis/apps/v1$"))
    async with shop.operating(until="leading") as operator:

        async def healthy() -> int:
            async with aiohttp.ClientSession(f"http://{operator.address}") as session:
                return (await session.get("/healthz")).status

        first = await healthy()
        words = "nobody watches deployments in all namespaces: does kubectl api-resources list"
        await until(lambda: words in "\n".join(operator.log), "a word about it")
        await shop.cluster.until(lambda: _is(healthy(), 503), "the operator is unhealthy")

        untold.clear()
        await until(lambda: WATCHING in "\n".join(operator.log), "it watches everything")
        await shop.open_pool()
        shop.arrive(60)
        await shop.until_replicas(3)

        assert (first, await healthy()) == (200, 200)


async def test_makes_nothing_for_a_pool_whose_deletion_it_missed(
    shop: Shop, server: ApiServer, operator: RunningOperator
) -> None:
    for name in ("notifications", "another"):  # an empty list would tell kopf, and hence the operator, nothing
        await shop.open_pool(name)
    await shop.until_condition("AbleToScale", lambda status, *_: status == "True")
    assert 'pool="notifications"' in await _metrics(operator)
    made = len(server.journal.find(resource=DEPLOYMENTS, verb="create"))

    async with deaf(server, POOLS):
        await shop.cluster.delete("WorkerPool", "shop", "notifications")
        await until(lambda: "WorkerPool shop/notifications is gone" in "\n".join(operator.log), "a word about it")

    async def is_forgotten() -> bool:
        return 'pool="notifications"' not in await _metrics(operator)

    await shop.cluster.until(is_forgotten, "the operator lets go of it")
    made = len(server.journal.find(resource=DEPLOYMENTS, verb="create"))
    await shop.open_pool("second")
    await shop.until_replicas(0, "second")
    assert len(server.journal.find(resource=DEPLOYMENTS, verb="create")) == made + 1


async def test_finds_out_that_a_deployment_was_deleted_unseen(
    shop: Shop, server: ApiServer, operator: RunningOperator
) -> None:
    for name in ("notifications", "another"):
        await shop.open_pool(name)
    shop.arrive(60)
    await shop.until_replicas(3)
    await shop.until_replicas(3, "another")

    async with deaf(server, DEPLOYMENTS):
        await shop.cluster.delete("Deployment", "shop", "notifications")

    await shop.until_replicas(3)


def changes(operator: RunningOperator) -> list[str]:
    """Each change of the pool's replicas that its log tells of."""
    return [line.rpartition("notifications: ")[2][:6] for line in operator.log if " -> " in line]


async def test_undoes_nothing_that_it_has_not_heard_of(
    shop: Shop, server: ApiServer, operator: RunningOperator
) -> None:
    """Somebody scales by hand while the watch hangs; the next change is decided from what there is, not from before."""
    await shop.open_pool()
    shop.arrive(60)
    await shop.until_replicas(3)

    async with deaf(server, DEPLOYMENTS):
        await shop.cluster.patch("Deployment", "shop", "notifications", {"spec": {"replicas": 8}})
        shop.arrive(20)
        await until(lambda: "was given 8 replicas meanwhile" in "\n".join(operator.log), "it finds out")
        await until(lambda: len(changes(operator)) == 2, "it changes the replicas once more, and says so")
        scaled = [it.body["spec"]["replicas"] for it in server.journal.writes(DEPLOYMENTS) if it.subresource]

    assert scaled == [3, 4]
    assert changes(operator) == ["0 -> 3", "8 -> 4"]


async def test_a_namespace_that_is_deleted_leaves_the_others_alone(
    shop: Shop, server: ApiServer, operator: RunningOperator
) -> None:
    gone = Shop(shop.cluster, "gone", shop.url, shop.kubeconfig)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gone"}}
    await shop.cluster.create(namespace)
    for one in (gone, shop):
        await one.open_pool()
    shop.arrive(60)
    for one in (gone, shop):
        await one.until_replicas(3)

    await shop.cluster.delete("Namespace", "", "gone")
    await until(lambda: server.store.get("namespaces", ("", "gone")) is None, "the namespace is gone")
    shop.arrive(40)
    await shop.until_replicas(5)
    assert await gone.deployment() is None

    await shop.cluster.create(namespace)
    await gone.open_pool()
    await gone.until_replicas(5)


async def test_scales_by_a_redis_that_answers_slowly(
    shop: Shop, operator: RunningOperator, own_redis: EmbeddedRedis
) -> None:
    await shop.open_pool()
    await shop.until_condition("AbleToScale", lambda status, *_: status == "True")
    shop.arrive(60)
    with redis.Redis(port=own_redis.port) as client:

        async def is_scaled() -> bool:
            await asyncio.to_thread(client.client_pause, 900, True)  # once the one before is over
            return await shop.replicas() == 3

        await shop.cluster.until(is_scaled, "it to scale by answers that take most of a second")


async def test_holds_while_redis_stands_still(shop: Shop, operator: RunningOperator, own_redis: EmbeddedRedis) -> None:
    await shop.open_pool()
    shop.arrive(60)
    await shop.until_replicas(3)
    shop.finish()
    os.kill(own_redis.pid, signal.SIGSTOP)
    try:
        _, reason, message = await shop.until_condition("ScalingActive", lambda status, *_: status == "False")
        assert await shop.replicas() == 3
    finally:
        os.kill(own_redis.pid, signal.SIGCONT)

    assert (reason, "no answer within 2 s" in message) == ("RedisUnavailable", True)
    await shop.until_replicas(0)


async def test_keeps_its_replicas_through_a_failover_and_scales_by_the_new_primary(
    shop: Shop, operator: RunningOperator, tmp_path: Path
) -> None:
    with watched(tmp_path) as pair:
        await shop.open_pool(redis={"sentinel": {"master": MASTER, "addresses": [pair.address]}})
        arrive(pair.primary.url, 60, "sms")
        await shop.until_replicas(3)
        await asyncio.to_thread(pair.until_replicated)

        await asyncio.to_thread(pair.primary.stop)
        with redis.Redis(port=pair.replica.port) as client:
            await until(lambda: client.role()[0] == b"master", "the replica is promoted")
        await shop.until_condition("ScalingActive", lambda status, *_: status == "True")
        assert await shop.replicas() == 3
        arrive(pair.replica.url, 40, "sms")
        await shop.until_replicas(5)


async def _is(asked: Awaitable[int], wanted: int) -> bool:
    return await asked == wanted


async def _metrics(operator: RunningOperator) -> str:
    async with aiohttp.ClientSession(f"http://{operator.address}") as session:
        return await (await session.get("/metrics")).text()


def _is_refused(server: ApiServer, resource: str) -> bool:
    return len(server.journal.find(resource=resource, verb="watch", status=401)) >= 2
