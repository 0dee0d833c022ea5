"""A real Prometheus scrapes a real operator and a real worker: it answers the dashboard, and fires the alerts.

The chart's rules are evaluated in a hurry (`impatient`): what takes minutes takes three seconds. That each waits for as
long as it should is `tests/unit/test_alerts.py`'s part.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from tests.support import jobs
from tests.support.api_cluster import ApiCluster
from tests.support.apiserver.faults import Fault
from tests.support.debian import find_program
from tests.support.operator import KOPF_WAITS, RunningOperator, operating
from tests.support.ports import free_port
from tests.support.prometheus import Prometheus, dashboard_queries, named_metrics, prometheus
from tests.support.redis import RedisServer, emptied
from tests.support.shop import Shop
from tests.support.tools import ToolMissing
from tests.support.waiting import until_answered
from tests.support.workerpools import CRD_FILE
from tests.support.workers import worker

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker

#: Nobody dies in these tests, so nobody is counted.
UNHEARD = {"crewcall_dead_workers_total", "crewcall_recovered_jobs_total"}

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
    return Shop(memory, "shop", server.url, memory.write_kubeconfig(tmp_path))


@pytest.fixture
async def operator(shop: Shop) -> AsyncIterator[RunningOperator]:
    async with operating(shop.kubeconfig, "--namespace", shop.namespace, "--interval", "0.1") as running:
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
            named = {name for query in queries for name in named_metrics(query)} - UNHEARD

            def unanswered() -> set[str]:
                return {name for name in named if not seen.query(f'{{__name__=~"{name}(_bucket)?"}}')}

            await until_answered(lambda: not unanswered(), "a series of every metric that the dashboard names")
            jobs.let_go(server.client, 3)

            def empty() -> list[str]:
                return [query for query in queries if not named_metrics(query) & UNHEARD and not seen.query(query)]

            # A rate takes two scrapes that differ.
            await until_answered(lambda: not empty(), "an answer to every query")
            unheard = [query for query in queries if named_metrics(query) & UNHEARD]
            assert [await asyncio.to_thread(seen.query, query) for query in unheard] == [[], []]
            assert await asyncio.to_thread(seen.broken_rules) == []
            running = await asyncio.to_thread(seen.query, "crewcall_worker_running_jobs")
            assert [found["metric"]["pool"] for found in running] == ["notifications"]


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


async def test_the_operator_leaves_at_once_though_prometheus_keeps_its_connection(
    shop: Shop, operator: RunningOperator
) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://{operator.address}/metrics") as answer:
            assert "crewcall_build_info" in await answer.text()
        async with asyncio.timeout(KOPF_WAITS):
            assert await operator.stop() == 0


def scrapes(seen: Prometheus) -> int:
    """How often the operator has been scraped."""
    found = seen.query("count_over_time(crewcall_build_info[1m])")
    return int(found[0]["value"][1]) if found else 0
