"""Fewer replicas in a cluster: the drained pods go and no others, and what dead pods held comes back.

The workers are the test's own hand: it writes their records as `crewcall_worker.wire` has them. On a real API server it
is the kubelet's hand too, for nobody else runs pods there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from tests.support.api_cluster import ApiCluster
from tests.support.operator import RunningOperator
from tests.support.redis import RedisServer
from tests.support.shop import Shop, installed
from tests.support.workerpools import ABSENT, CRD_FILE

from crewcall_worker import wire
from crewcall_worker.queues.drains import Drains
from crewcall_worker.wire import WorkerRecord, WorkerState

KEYS = wire.Keys()


class Crew:
    """Workers of the pool notifications, one in each pod, as they would tell of themselves."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self.client = client
        self.pool = wire.pool_name(namespace, "notifications")

    def tell(self, pod: str, state: WorkerState = WorkerState.RUNNING, busy: int = 0, since: float = 0.0) -> None:
        """It runs `busy` jobs, the oldest for `since` seconds."""
        at_ms = int(time.time() * 1000)
        oldest_ms = at_ms - int(since * 1000) if busy else None
        record = WorkerRecord(f"of-{pod}", state, pod, 1, 4, busy, 0, oldest_ms, ("sms",), at_ms)
        self.client.hset(KEYS.workers(self.pool), record.worker, wire.write_worker(record))

    def orders(self) -> dict[str, str]:
        return {str(pod): str(word) for pod, word in self.client.hgetall(KEYS.orders(self.pool)).items()}


@pytest.fixture
async def shop(cluster: ApiCluster, namespace: str, redis_server: RedisServer, tmp_path: Path) -> Shop:
    await cluster.install_crd(CRD_FILE)
    return await installed(cluster, namespace, redis_server.url, tmp_path)


@pytest.fixture
async def operator(shop: Shop) -> AsyncIterator[RunningOperator]:
    async with shop.operating("--interval", "0.1") as running:
        yield running


@pytest.fixture
def crew(shop: Shop, redis_server: RedisServer) -> Crew:
    return Crew(redis_server.client, shop.namespace)


async def pods(shop: Shop) -> list[str]:
    """The names of all pods that are there and run, oldest first."""
    found = await shop.cluster.list("Pod", shop.namespace)
    running = [it for it in found if it.get("status", {}).get("phase") == "Running"]
    there = [it for it in running if "deletionTimestamp" not in it["metadata"]]
    return [it["metadata"]["name"] for it in sorted(there, key=lambda it: int(it["metadata"]["resourceVersion"]))]


async def with_pods(shop: Shop, count: int) -> list[str]:
    async def are_running() -> list[str] | None:
        if not shop.cluster.capabilities.runs_pods:
            for pod in await shop.cluster.list("Pod", shop.namespace):
                if pod["status"]["phase"] == "Pending":
                    await run_pod(shop, pod["metadata"]["name"])
        found = await pods(shop)
        return found if len(found) == count else None

    return await shop.cluster.until(are_running, f"{count} pods")


async def run_pod(shop: Shop, name: str, *, is_ready: bool = True) -> None:
    """Say of a pod what its kubelet would."""
    since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    ready = {"type": "Ready", "status": str(is_ready), "lastTransitionTime": since}
    status = {"phase": "Running", "conditions": [ready]}
    await shop.cluster.patch("Pod", shop.namespace, name, {"status": status}, subresource="status")


def leave(shop: Shop, jobs: int) -> None:
    """Have so many jobs left."""
    shop.finish()
    shop.arrive(jobs)


@pytest.mark.pods
async def test_a_busy_pod_stays_until_it_is_drained_and_exactly_the_drained_ones_go(
    shop: Shop, operator: RunningOperator, crew: Crew
) -> None:
    await shop.open_pool()
    shop.arrive(80)
    busy, idle, other, long = await with_pods(shop, 4)
    for pod, jobs in ((busy, 2), (idle, 0), (other, 3), (long, 1)):
        crew.tell(pod, busy=jobs, since=900.0 if pod == long else 0.0)

    leave(shop, 20)
    await shop.cluster.until(lambda: _ordered(crew, 3), "three orders")
    assert crew.orders().keys() == {busy, idle, other}
    assert await shop.replicas() == 4
    crew.tell(idle, WorkerState.DRAINED)
    await shop.until_replicas(3)
    assert await with_pods(shop, 3)
    assert idle not in await pods(shop)

    for pod in (busy, other):
        crew.tell(pod, WorkerState.DRAINED)
    await shop.until_replicas(1)

    assert await with_pods(shop, 1) == [long]
    crew.client.delete(KEYS.workers(crew.pool))
    await shop.cluster.until(lambda: _ordered(crew, 0), "the orders of pods that are gone to go")
    await shop.cluster.until(lambda: _told(shop, "Draining"), "the Event about the orders")


@pytest.mark.pods
async def test_no_drained_pod_goes_while_the_cluster_would_take_a_busy_one_that_is_not_ready(
    shop: Shop, operator: RunningOperator, crew: Crew
) -> None:
    await shop.open_pool()
    shop.arrive(60)
    long, short, unready = await with_pods(shop, 3)
    for pod, since in ((long, 600.0), (short, 0.0), (unready, 900.0)):
        crew.tell(pod, busy=1, since=since)
    await run_pod(shop, unready, is_ready=False)

    leave(shop, 20)
    await shop.cluster.until(lambda: _ordered(crew, 2), "two orders")
    assert crew.orders().keys() == {short, unready}
    crew.tell(short, WorkerState.DRAINED)
    waiting = f"waiting until {unready} have finished what they run"
    await shop.until_condition("AbleToScale", lambda _, __, message: message == waiting)
    assert await shop.replicas() == 3

    crew.tell(unready, WorkerState.DRAINED)
    await shop.until_replicas(1)
    assert await with_pods(shop, 1) == [long]


@pytest.mark.pods
async def test_no_pod_is_lost_when_load_returns(shop: Shop, operator: RunningOperator, crew: Crew) -> None:
    await shop.open_pool()
    shop.arrive(60)
    before = await with_pods(shop, 3)
    for pod in before:
        crew.tell(pod, busy=1)
    leave(shop, 20)
    await shop.cluster.until(lambda: _ordered(crew, 2), "two orders")

    leave(shop, 60)
    await shop.cluster.until(lambda: _ordered(crew, 0), "the orders to be withdrawn")

    assert await with_pods(shop, 3) == before
    await shop.cluster.until(lambda: _told(shop, "DrainWithdrawn"), "the Event")


@pytest.mark.pods
async def test_a_pod_that_a_hand_asked_to_drain_goes_once_another_is_ready_in_its_place(
    shop: Shop, operator: RunningOperator, crew: Crew
) -> None:
    await shop.open_pool()
    shop.arrive(40)
    asked, other = await with_pods(shop, 2)
    for pod in (asked, other):
        crew.tell(pod, busy=1)
    Drains(crew.client, "dramatiq").ask(crew.pool, f"of-{asked}", by="ada")

    await shop.until_replicas(3)
    (newcomer,) = set(await with_pods(shop, 3)) - {asked, other}
    await run_pod(shop, newcomer, is_ready=False)  # the cluster would take it in place of one that is ready
    await asyncio.sleep(0.3)
    crew.tell(asked, WorkerState.DRAINED)
    crew.tell(newcomer)
    await asyncio.sleep(0.4)
    assert await shop.replicas() == 3
    await run_pod(shop, newcomer)
    crew.tell(asked, WorkerState.DRAINED)
    await shop.until_replicas(2)

    assert set(await with_pods(shop, 2)) == {other, newcomer}
    assert crew.orders() == {}


@pytest.mark.pods
async def test_gives_back_the_jobs_of_a_pod_that_was_deleted(shop: Shop, operator: RunningOperator, crew: Crew) -> None:
    await shop.open_pool(minReplicas=1)
    shop.arrive(20)
    (pod,) = await with_pods(shop, 1)
    crew.tell(pod, busy=1)
    id_ = str(crew.client.lpop(KEYS.ready("sms")))
    crew.client.sadd(KEYS.acks(f"of-{pod}", "sms"), id_)

    gone = time.monotonic()
    await shop.cluster.delete("Pod", shop.namespace, pod)

    async def is_back() -> bool:
        await asyncio.sleep(0)
        return crew.client.lindex(KEYS.ready("sms"), 0) == id_

    await shop.cluster.until(is_back, "the job at the head of its queue")
    assert time.monotonic() - gone < wire.LAPSED_AFTER_MS / 1000  # by when its silence would have told
    assert not crew.client.hexists(KEYS.workers(crew.pool), f"of-{pod}")
    await shop.cluster.until(lambda: _told(shop, "WorkerDied"), "the Event")


@pytest.mark.pods
async def test_says_which_pods_are_scaled_the_plain_way(shop: Shop, operator: RunningOperator) -> None:
    await shop.cluster.create(_deployment(shop.namespace))
    await shop.open_pool(template=ABSENT, deploymentRef={"name": "existing"})
    shop.arrive(40)
    await shop.until_replicas(2, "existing")

    status, _, message = await shop.until_condition("WorkersSeen", lambda *found: found[1] == "NoPodSeen")

    assert status == "Unknown"
    assert "crewcall.dev/pool=notifications" in message
    shop.finish()
    await shop.until_replicas(0, "existing")


async def _ordered(crew: Crew, count: int) -> bool:
    await asyncio.sleep(0)
    return len(crew.orders()) == count


async def _told(shop: Shop, reason: str) -> bool:
    return reason in [told for told, _ in await shop.events()]


def _deployment(namespace: str) -> dict[str, object]:
    labels = {"app": "existing"}
    containers = [{"name": "worker", "image": "example/worker"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "existing", "namespace": namespace},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }
