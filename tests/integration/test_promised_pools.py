"""A pool sized by a promise, from real workers' counts to replicas: as processes, and in a cluster."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from rich.console import Console
from tests.support.api_cluster import ApiCluster
from tests.support.redis import RedisServer
from tests.support.shop import installed
from tests.support.waiting import until
from tests.support.workerpools import CRD_FILE

from crewcall_operator.api.pool import PoolKey
from crewcall_operator.core.estimate import Basis, Estimate
from crewcall_operator.local.run import Options, Running, run
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker

ROOT = Path(__file__).parents[2]
PROMISE = PoolKey("default", "promise")
KEYS = wire.Keys()


@pytest.mark.parametrize("broker", [CrewcallBroker, RedisBroker])
async def test_processes_are_called_for_a_promise_by_what_they_count(
    redis_server: RedisServer, tmp_path: Path, broker: type[RedisBroker]
) -> None:
    """120 jobs of a quarter of a second are 30 thread-seconds: more than one worker of four threads does in time.

    They take longer where the machine is busy, and so do starts: the estimates are compared with what was counted.
    """
    known: list[Estimate] = []
    replicas: list[int] = []

    async def play(running: Running) -> None:
        reports = running.history.reports
        await until(lambda: PROMISE in reports, "the first look")
        await asyncio.to_thread(_send, broker, running.url)
        await until(lambda: len(redis_server.client.hgetall("crewcall:demo:test")) == 120, "all jobs")
        await until(lambda: _counted(redis_server) == 120, "all jobs to be counted")
        seen = len(reports[PROMISE])
        await until(lambda: len(reports[PROMISE]) > seen + 2, "another look")
        known.extend(it.estimate for it in reports[PROMISE] if it.estimate is not None)
        replicas.extend(it.fleet.current for it in reports[PROMISE] if it.fleet is not None)

    options = Options((ROOT / "examples" / "promise.yaml",), redis_url=redis_server.url, interval=0.1)
    began = time.monotonic()
    with (tmp_path / "shown").open("w") as shown:
        await run(options, Console(file=shown), beside=play)

    last = known[-1]
    counted = _busy_seconds(redis_server) / 120
    assert 1 < max(replicas) <= 8
    assert counted >= 0.25
    # As long as it may well be: two standard errors of 120 jobs are 18 %, and two of a second each were assumed first.
    assert counted < last.service < 1.3 * counted
    assert 0.1 < last.startup < time.monotonic() - began
    assert (last.threads, last.basis) == (4, Basis.COUNTED if broker is CrewcallBroker else Basis.BALANCED)


def _send(broker: type[RedisBroker], url: str) -> None:
    sender = broker(url=url)
    for job in range(120):
        sender.enqueue(dramatiq.Message("demo", "work", ("test", job, 250), {}, {}))
    sender.close()


def _counted(server: RedisServer) -> int:
    return int(server.client.hget(KEYS.stats("demo"), "done") or 0)


def _busy_seconds(server: RedisServer) -> float:
    return int(server.client.hget(KEYS.stats("demo"), "busy_ms") or 0) / 1000


@pytest.mark.pods
async def test_a_cluster_that_has_no_room_is_asked_for_no_more_pods(
    memory: ApiCluster, redis_server: RedisServer, tmp_path: Path
) -> None:
    assert memory.server is not None
    await memory.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "full"}})
    await memory.install_crd(CRD_FILE)
    memory.server.kubelet.options.is_schedulable = False
    shop = await installed(memory, "full", redis_server.url, tmp_path)
    async with shop.operating("--interval", "0.1"):
        shop.arrive(20)
        await shop.open_pool(target={"queueLatency": "30s"}, maxReplicas=20)
        await shop.until_condition("Ready", lambda _, reason, __: reason in {"SteadyLoad", "BacklogDrain"})
        asked = await shop.replicas()

        shop.arrive(2000)
        told = await shop.until_condition("Ready", lambda _, reason, __: reason == "PodsUnschedulable")

    assert "wanted" in told[2] or "needed" in told[2]
    assert await shop.replicas() == asked


async def test_what_plain_workers_do_not_count_is_said_in_the_status(
    memory: ApiCluster, redis_server: RedisServer, tmp_path: Path
) -> None:
    await memory.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "told"}})
    await memory.install_crd(CRD_FILE)
    shop = await installed(memory, "told", redis_server.url, tmp_path)
    now_ms = int(time.time() * 1000)
    record = wire.WorkerRecord("w", wire.WorkerState.RUNNING, "pod", now_ms, 4, 0, 0, None, ("sms",), now_ms)
    redis_server.client.hset(KEYS.workers("told/notifications"), "w", wire.write_worker(record))
    redis_server.client.hset(KEYS.stats("sms"), mapping={"enqueued": "100", "done": "100", "busy_ms": "25000"})
    async with shop.operating("--interval", "0.1"):
        await shop.open_pool(target={"queueLatency": "30s"})
        counted = await shop.until_condition("ScalingActive", lambda status, _, __: status == "True")
        scales = await shop.condition("ThroughputScales")

    assert counted[2] == "the backlog was read from Redis; workers and producers count the jobs"
    assert scales == ("True", "NothingAgainst", "no sign that more replicas would not help")
