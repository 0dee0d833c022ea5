"""A real Prometheus scrapes a real operator and a real worker: it answers the dashboard, and fires the alerts.

The chart's rules are evaluated in a hurry (`impatient`): what takes minutes takes three seconds. That each waits for as
long as it should is `tests/unit/test_alerts.py`'s part.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from tests.support import jobs
from tests.support.api_cluster import ApiCluster, Object
from tests.support.apiserver import ApiServer
from tests.support.apiserver.faults import Fault
from tests.support.debian import find_program
from tests.support.operator import KOPF_WAITS, RunningOperator
from tests.support.ports import free_port
from tests.support.prometheus import Prometheus, dashboard_queries, named_metrics, prometheus
from tests.support.redis import RedisServer, emptied
from tests.support.shop import Shop, installed
from tests.support.succession import LEASES
from tests.support.tools import ToolMissing
from tests.support.waiting import until_answered
from tests.support.workerpools import CRD_FILE
from tests.support.workers import WorkerProcess, worker

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker

#: What is true on a busy machine, or where changes are refused and nothing runs the pods, and may be told as well.
BESIDE = {"CrewcallReconcileSlow", "CrewcallApiErrors", "CrewcallNoLeader", "CrewcallReplicasNotReady"}


@pytest.fixture(scope="session")
def program() -> Path:
    try:
        return find_program("prometheus", "prometheus")
    except ToolMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def own_redis() -> Iterator[EmbeddedRedis]:
    """A Redis that the test may stop."""
    with EmbeddedRedis(keeps_data=True) as server:
        yield server


@pytest.fixture
def server(own_redis: EmbeddedRedis) -> Iterator[RedisServer]:
    with emptied(own_redis) as lent:
        yield lent


@pytest.fixture
async def shop(memory: ApiCluster, server: RedisServer, tmp_path: Path) -> Shop:
    await memory.install_crd(CRD_FILE)
    await memory.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    return await installed(memory, "shop", server.url, tmp_path)


@pytest.fixture
def api(memory: ApiCluster) -> ApiServer:
    assert memory.server is not None
    return memory.server


@pytest.fixture
async def operator(shop: Shop) -> AsyncIterator[RunningOperator]:
    async with shop.operating("--interval", "0.1") as running:
        yield running


@asynccontextmanager
async def scraping(program: Path, folder: Path, **targets: list[str]) -> AsyncIterator[Prometheus]:
    running = prometheus(program, folder, targets)
    entered = await asyncio.to_thread(running.__enter__)
    try:
        yield entered
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def test_every_query_of_the_dashboard_is_answered(
    program: Path, shop: Shop, operator: RunningOperator, server: RedisServer, tmp_path: Path
) -> None:
    assert shop.cluster.server is not None
    shop.cluster.server.faults.add(Fault(status=503, verb="patch", resource="deployments.apps", times=1))
    port = free_port()
    environment = {wire.ENV_METRICS_PORT: str(port)}
    with worker("crewcall-worker", server, tmp_path, environment=environment):
        async with scraping(program, tmp_path, operator=[operator.address], workers=[f"127.0.0.1:{port}"]) as seen:
            await shop.open_pool()
            await shop.open_pool("promised", target={"queueLatency": "30s"}, queues=[{"name": "email"}])
            await shop.until_condition("Ready", lambda status, *_: status == "True")
            shop.arrive(3, "email")
            broker = CrewcallBroker(url=server.url)
            for job in range(3):
                broker.enqueue(jobs.hold.message(job))
            broker.close()
            await shop.until_replicas(1)
            queries = dashboard_queries()
            named = {name for query in queries for name in named_metrics(query)}

            def unanswered() -> set[str]:
                return {name for name in named if not seen.query(f'{{__name__=~"{name}(_bucket)?"}}')}

            await until_answered(lambda: not unanswered(), "a series of every metric that the dashboard names")
            jobs.let_go(server.client, 3)

            def empty() -> list[str]:
                return [query for query in queries if not seen.query(query)]

            # A rate takes two scrapes that differ.
            await until_answered(lambda: not empty(), "an answer to every query")
            assert await asyncio.to_thread(seen.broken_rules) == []
            running = await asyncio.to_thread(seen.query, "crewcall_worker_running_jobs")
            assert [found["metric"]["pool"] for found in running] == ["notifications"]


@pytest.mark.slow
async def test_alerts_fire_with_their_faults_and_not_before(
    program: Path, shop: Shop, operator: RunningOperator, own_redis: EmbeddedRedis, server: RedisServer, tmp_path: Path
) -> None:
    assert shop.cluster.server is not None
    await shop.open_pool("fine")
    await shop.open_pool("small", queues=[{"name": "small"}], maxReplicas=1)
    await shop.open_pool("late", queues=[{"name": "late"}], target={"queueLatency": "100ms"})
    await shop.open_pool("stuck", queues=[{"name": "stuck"}])
    await shop.open_pool("dead", queues=[{"name": "dead"}])
    for name in ("fine", "small", "late", "stuck", "dead"):
        await shop.until_replicas(0, name)
    async with scraping(program, tmp_path, operator=[operator.address]) as seen:
        # Before its first scrape it knows of no operator. Then it scrapes for longer than the five seconds that rates
        # look back, beside the three that an alert waits.
        await until_answered(lambda: scrapes(seen) and not seen.fired(), "the first scrape")
        began = time.time()
        await until_answered(lambda: scrapes(seen) > 16, "a while in which all is well")

        def fired() -> set[tuple[str, str]]:
            return {it for it in seen.fired(began) if it[0] not in BESIDE}

        assert await asyncio.to_thread(fired) == set()

        shop.cluster.server.faults.add(Fault(status=403, path=r"/stuck/scale"))
        for queue in ("small", "late", "stuck"):
            shop.arrive(100, queue)
        server.client.zadd("dramatiq:dead.XQ", {"a": 1, "b": 2})

        expected = {
            ("CrewcallAtMaxReplicas", "small"),
            ("CrewcallJobsWaitTooLong", "late"),
            ("CrewcallPoolCannotScale", "stuck"),
            ("CrewcallDeadLetters", "dead"),
        }
        await until_answered(lambda: fired() >= expected, "the alerts of the pools")
        assert await asyncio.to_thread(fired) == expected
        await asyncio.to_thread(own_redis.stop)
        await until_answered(lambda: ("CrewcallRedisUnavailable", "fine") in fired(), "the alert of Redis")
        assert ("CrewcallOperatorDown", "") not in await asyncio.to_thread(fired)
        await operator.stop()
        await until_answered(lambda: ("CrewcallOperatorDown", "") in fired(), "the alert of the operator")
        assert await asyncio.to_thread(seen.broken_rules) == []


@pytest.mark.slow
async def test_alerts_of_the_operator_fire_with_their_faults_and_end_with_them(
    program: Path, shop: Shop, operator: RunningOperator, api: ApiServer, tmp_path: Path
) -> None:
    for name in ("slow", "failing"):
        await shop.open_pool(name)
        await shop.until_replicas(0, name)
    async with scraping(program, tmp_path, operator=[operator.address]) as seen:
        await until_answered(lambda: scrapes(seen) and not seen.fired(), "the first scrape")

        slow = api.faults.add(Fault(delay=3.0, status=503, path="/slow/scale"))
        failing = api.faults.add(Fault(status=503, path="/failing/scale"))
        shop.arrive(20)
        await until_answered(
            lambda: seen.fired() >= {("CrewcallReconcileSlow", ""), ("CrewcallApiErrors", "")}, "both alerts"
        )
        slow.clear()
        failing.clear()
        await until_answered(lambda: not seen.fired(), "their end")

        refused = api.faults.add(Fault(status=403, resource=LEASES))
        await until_answered(lambda: ("CrewcallNoLeader", "") in seen.fired(), "the alert of the lease")
        refused.clear()
        await until_answered(lambda: not seen.fired(), "its end")
        assert await asyncio.to_thread(seen.broken_rules) == []


@pytest.mark.slow
async def test_alerts_of_replicas_and_workers_fire_with_their_faults_and_end_with_them(
    program: Path, shop: Shop, operator: RunningOperator, api: ApiServer, server: RedisServer, tmp_path: Path
) -> None:
    """Real workers, each in the name of one of the pool's pods."""
    api.kubelet.options.is_schedulable = False
    await shop.open_pool(minReplicas=3)
    with ExitStack() as crew:
        async with scraping(program, tmp_path, operator=[operator.address]) as seen:
            await until_answered(lambda: fires(seen, "CrewcallReplicasNotReady"), "the alert of pods without a node")
            api.kubelet.options.is_schedulable = True
            api.kubelet.retry()
            await until_answered(lambda: not seen.fired(), "its end")

            pods = await shop.cluster.list("Pod", shop.namespace)
            workers = {it["metadata"]["name"]: hired(crew, shop, server, tmp_path, it) for it in pods}
            broker = CrewcallBroker(url=server.url)
            for job in range(30):  # enough for two replicas
                broker.enqueue(jobs.hold.message(job))
            broker.close()
            await until_answered(lambda: server.client.llen(jobs.BEGUN) == 3, "each runs a job")
            await shop.change_pool({"minReplicas": 0})
            await until_answered(lambda: fires(seen, "CrewcallDrainStuck"), "the alert of the one that is to go")
            await shop.change_pool({"minReplicas": 3})
            await until_answered(lambda: not seen.fired(), "its end")

            for pod, it in workers.items():
                await asyncio.to_thread(it.kill)
                await shop.cluster.delete("Pod", shop.namespace, pod)
            await until_answered(lambda: fires(seen, "CrewcallWorkersDie"), "the alert of workers that died")
            await until_answered(lambda: not seen.fired(), "its end")
            assert await asyncio.to_thread(seen.broken_rules) == []


async def test_the_operator_leaves_at_once_though_prometheus_keeps_its_connection(
    shop: Shop, operator: RunningOperator
) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://{operator.address}/metrics") as answer:
            assert "crewcall_build_info" in await answer.text()
        async with asyncio.timeout(KOPF_WAITS):
            assert await operator.stop() == 0


def hired(crew: ExitStack, shop: Shop, server: RedisServer, folder: Path, pod: Object) -> WorkerProcess:
    """A worker of one thread that tells of itself as that pod's."""
    name = pod["metadata"]["name"]
    environment = {wire.ENV_NAMESPACE: shop.namespace, wire.ENV_POOL: "notifications", wire.ENV_POD: name}
    (folder / name).mkdir()
    return crew.enter_context(worker("crewcall-worker", server, folder / name, threads=1, environment=environment))


def fires(seen: Prometheus, alert: str) -> bool:
    return (alert, "notifications") in seen.fired()


def scrapes(seen: Prometheus) -> int:
    """How often the operator has been scraped."""
    found = seen.query("count_over_time(crewcall_build_info[1m])")
    return int(found[0]["value"][1]) if found else 0
