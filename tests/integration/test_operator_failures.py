"""What the operator does when something it needs is away or wrong: it keeps what runs, says why, and goes on."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis
from tests.support.api_cluster import ApiCluster, Refused
from tests.support.apiserver import Fault
from tests.support.hostile_redis import hostile_redis
from tests.support.operator import KOPF_WAITS, RunningOperator
from tests.support.shop import Shop, installed
from tests.support.waiting import until
from tests.support.workerpools import CRD_FILE, crd

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis

#: A field each, and wrong in its own way; the status must name them all.
TEN_WRONGS: dict[str, Any] = {
    "queues": [{"name": "1st", "weight": 0}],
    "minReplicas": -1,
    "maxReplicas": "many",
    "target": {"queueLatency": "1s", "backlogPerReplica": 1},
    "concurrency": 0,
    "behavior": {"scaleDown": {"selectPolicy": "Median"}},
    "cooldown": "120",
    "mode": "auto",
    "drain": {"gracePeriod": "500ms"},
    "template": {"spec": {"containers": []}},
}
TEN_PATHS = {
    "spec.queues[0].name",
    "spec.queues[0].weight",
    "spec.minReplicas",
    "spec.maxReplicas",
    "spec.target",
    "spec.concurrency",
    "spec.behavior.scaleDown.selectPolicy",
    "spec.cooldown",
    "spec.mode",
    "spec.drain.gracePeriod",
    "spec.template.spec.containers",
}


@pytest.fixture
def own_redis() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(keeps_data=True) as server:
        yield server


@pytest.fixture
async def shop(cluster: ApiCluster, namespace: str, own_redis: EmbeddedRedis, tmp_path: Path) -> Shop:
    await cluster.install_crd(CRD_FILE)
    return await installed(cluster, namespace, own_redis.url, tmp_path)


@pytest.fixture
async def operator(shop: Shop) -> AsyncIterator[RunningOperator]:
    async with shop.operating() as running:
        yield running


@pytest.mark.parametrize("outage_s", [5.0, pytest.param(60.0, marks=pytest.mark.slow)])
async def test_holds_the_replicas_while_redis_is_away_and_resumes_when_it_is_back(
    shop: Shop, operator: RunningOperator, own_redis: EmbeddedRedis, outage_s: float
) -> None:
    await shop.open_pool()
    shop.arrive(60)
    await shop.until_replicas(3)

    await asyncio.to_thread(own_redis.stop)
    status, reason, message = await shop.until_condition("ScalingActive", lambda status, *_: status == "False")
    assert (status, reason) == ("False", "RedisUnavailable")
    assert f"127.0.0.1:{own_redis.port}/0" in message
    outage_ends = time.monotonic() + outage_s
    while time.monotonic() < outage_ends:
        assert await shop.replicas() == 3
        await asyncio.sleep(0.2)
    assert (await shop.status())["backlog"] == "?"

    await asyncio.to_thread(own_redis.start)
    shop.arrive(60)
    await shop.until_replicas(6)

    await shop.until_condition("ScalingActive", lambda status, *_: status == "True")
    assert [reason for reason, _ in await shop.events()][:2] == ["Activated", "RedisUnavailable"]


async def test_an_outage_does_not_count_as_idleness(
    shop: Shop, operator: RunningOperator, own_redis: EmbeddedRedis
) -> None:
    """After it a full window passes before the pool goes down, though Redis has nothing to do any more."""
    await shop.open_pool(behavior={"scaleDown": {"stabilizationWindowSeconds": 6}}, cooldown="0s")
    shop.arrive(60)
    await shop.until_replicas(3)
    shop.finish()
    await asyncio.to_thread(own_redis.stop)
    await shop.until_condition("ScalingActive", lambda status, *_: status == "False")

    back = time.monotonic()
    await asyncio.to_thread(own_redis.start)
    await shop.until_replicas(0)

    # The window is of six seconds, and begins with the last look that saw nothing: some time before.
    assert time.monotonic() - back > 3.0


async def test_takes_no_replica_away_while_it_may_not_read_the_workers(
    shop: Shop, operator: RunningOperator, own_redis: EmbeddedRedis
) -> None:
    with redis.Redis(port=own_redis.port) as client:
        rights: dict[str, Any] = {"enabled": True, "reset": True, "passwords": ["+secret"], "categories": ["+@all"]}
        client.acl_setuser("looker", keys=["dramatiq:*"], **rights)
        await shop.open_pool(redis={"url": shop.url.replace("//", "//looker:secret@")})
        shop.arrive(60)
        await shop.until_replicas(3)

        shop.finish()
        _, _, message = await shop.until_condition("Ready", lambda _, reason, __: reason == "WorkersUnread")
        assert "Grant it: " in message
        assert await shop.replicas() == 3

        client.acl_setuser("looker", keys=["dramatiq:*", "crewcall:dramatiq:*"], **rights)
        await shop.until_replicas(0)


async def test_a_silent_redis_delays_nobody_elses_pools(shop: Shop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never a word
        silent_url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        async with shop.operating("--interval", "0.1") as operator:
            await shop.open_pool("blind", redis={"url": silent_url})
            await shop.open_pool()
            await shop.until_replicas(0)
            await shop.until_condition("ScalingActive", lambda status, *_: status == "False", "blind")

            blind, seeing = [await _decisions(operator, name) for name in ("blind", "notifications")]
            shop.arrive(60)
            await shop.until_replicas(3)

            async def looked_for_long() -> bool:
                return await _decisions(operator, "notifications") >= seeing + 30

            await shop.cluster.until(looked_for_long, "thirty more looks at the other pool")
            # One waits for two seconds each time, the other for a tenth of one. One by one they would be looked at.
            assert await _decisions(operator, "blind") - blind <= 15
            assert await shop.replicas("blind") == 0


@pytest.mark.parametrize("answer", [b":one\r\n", b":1\r\n", b"HTTP/1.1 400 Bad Request\r\n"])
async def test_a_redis_that_answers_as_none_does_harms_nobody_elses_pools(shop: Shop, answer: bytes) -> None:
    async with hostile_redis(answer) as server, shop.operating("--interval", "0.1") as operator:
        await shop.open_pool("fooled", redis={"url": server.url})
        await shop.open_pool()
        await shop.until_replicas(0)
        await shop.until_condition("ScalingActive", lambda status, *_: status == "False", "fooled")
        asked = server.asked
        await until(lambda: server.asked >= asked + 5, "five more questions")

        shop.arrive(60)
        await shop.until_replicas(3)
        assert await shop.replicas("fooled") == 0
        assert "defect" not in "".join(operator.log)
        assert "HTTP" not in "".join(operator.log)


async def test_tells_everything_that_is_wrong_with_a_spec_at_once_and_scales_nothing_of_it(
    shop: Shop, operator: RunningOperator
) -> None:
    lax = _lax_definition()
    await _replace_definition(shop.cluster, lax)
    try:
        await shop.open_pool("wrong", **TEN_WRONGS)
        await shop.open_pool("right")
        shop.arrive(60)

        _, reason, message = await shop.until_condition("Ready", lambda status, *_: status == "False", "wrong")
        await shop.until_replicas(3, "right")
        events = await shop.cluster.until(lambda: _all_told(shop), "an Event for each wrong")
    finally:
        await shop.cluster.delete("WorkerPool", shop.namespace, "wrong")
        await _replace_definition(shop.cluster, crd())

    assert reason == "InvalidSpec"
    assert {path for path in TEN_PATHS if f"{path}: " in message} == TEN_PATHS
    assert {text.split(": ")[0] for _, text in events} == TEN_PATHS
    assert len({text for _, text in events}) == len(TEN_PATHS)
    assert await shop.deployment("wrong") is None


async def test_a_spec_that_becomes_wrong_stops_the_scaling_and_one_that_is_mended_resumes_it(
    shop: Shop, operator: RunningOperator
) -> None:
    await _replace_definition(shop.cluster, _lax_definition())
    try:
        await shop.open_pool()
        shop.arrive(60)
        await shop.until_replicas(3)

        await shop.change_pool({"mode": "auto"})
        await shop.until_condition("Ready", lambda _, reason, __: reason == "InvalidSpec")
        shop.arrive(60)
        await asyncio.sleep(0.4)
        assert await shop.replicas() == 3

        async with aiohttp.ClientSession(f"http://{operator.address}") as session:
            scraped = await (await session.get("/metrics")).text()
        labels = f'namespace="{shop.namespace}",pool="notifications"'
        mine = [line for line in scraped.splitlines() if labels in line]
        assert mine == [f"crewcall_pool_spec_valid{{{labels}}} 0.0"]

        await shop.change_pool({"mode": "Auto"})
        await shop.until_replicas(6)
        await shop.until_condition("Ready", lambda status, *_: status == "True")
    finally:
        await _replace_definition(shop.cluster, crd())


async def test_waits_for_a_definition_that_is_deleted_and_made_again(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool()
    await shop.until_replicas(0)

    await shop.cluster.delete("CustomResourceDefinition", "", crd()["metadata"]["name"])
    try:
        await until(lambda: "Is the WorkerPool definition installed?" in "\n".join(operator.log), "a word about it")
    finally:
        await shop.cluster.install_crd(CRD_FILE)
    await shop.open_pool("another")
    shop.arrive(60)
    await shop.until_replicas(3, "another")

    assert operator.process.returncode is None
    assert not [line for line in operator.log if "Traceback" in line or "Error:" in line]


async def _decisions(operator: RunningOperator, pool: str) -> float:
    """How often it was decided how many replicas the pool should have."""
    async with aiohttp.ClientSession(f"http://{operator.address}") as session:
        told = (await (await session.get("/metrics")).text()).splitlines()
    counted = [line for line in told if line.startswith("crewcall_decisions_total{") and f'pool="{pool}"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in counted)


async def _all_told(shop: Shop) -> list[tuple[str, str]] | None:
    events = await shop.events("wrong")
    return events if len(events) >= len(TEN_PATHS) else None


def _lax_definition() -> dict[str, Any]:
    """The definition as an older version may have had it: every spec is let in, and judged by the operator alone."""
    lax = deepcopy(crd())
    (version,) = lax["spec"]["versions"]
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version["schema"]["openAPIV3Schema"] = {"type": "object", "properties": {"spec": anything, "status": anything}}
    return lax


async def _replace_definition(cluster: ApiCluster, wanted: dict[str, Any]) -> None:
    """Put another schema in place of the definition's own, and wait until it holds."""
    kind, name = "CustomResourceDefinition", wanted["metadata"]["name"]
    change = [{"op": "replace", "path": "/spec/versions", "value": wanted["spec"]["versions"]}]
    await cluster.patch(kind, "", name, change, media_type="application/json-patch+json")
    is_lax = "spec" not in wanted["spec"]["versions"][0]["schema"]["openAPIV3Schema"].get("required", ())

    async def holds() -> bool:
        probe = {
            "apiVersion": "crewcall.dev/v1alpha1",
            "kind": "WorkerPool",
            "metadata": {"name": "probe", "namespace": "default"},
            "spec": {},
        }
        try:
            await cluster.create(probe, dryRun="All")
        except Refused:
            return not is_lax
        return is_lax

    await cluster.until(holds, "the definition's new schema")


#: For an operator's interpreter: names that end in .hang are looked up for minutes, as where the cluster's DNS is dead.
HANGING_LOOKUPS = """
import socket, time
found = socket.getaddrinfo
def getaddrinfo(host, *more, **options):
    time.sleep(300 if str(host).endswith(".hang") else 0)
    return found(host, *more, **options)
socket.getaddrinfo = getaddrinfo
"""


async def test_a_name_lookup_that_hangs_delays_neither_other_pools_nor_the_end(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HANGING_LOOKUPS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with shop.operating("--interval", "0.1") as running:
        for number in range(3):
            await shop.open_pool(f"lost-{number}", redis={"url": f"redis://redis-{number}.hang:6379/0"})
        await shop.until_condition("ScalingActive", lambda status, *_: status == "False", "lost-2")
        await shop.open_pool(redis={"url": shop.url.replace("127.0.0.1", "localhost")})
        shop.arrive(60)
        await shop.until_replicas(3)

        assert await running.stop() == 0


class TestWhenTheApiServer:
    """Only our own server can be told to fail."""

    @pytest.fixture
    async def shop(self, memory: ApiCluster, own_redis: EmbeddedRedis, tmp_path: Path) -> Shop:
        await memory.install_crd(CRD_FILE)
        return await installed(memory, "default", own_redis.url, tmp_path)

    async def test_is_away_the_operator_waits_and_goes_on(self, shop: Shop, operator: RunningOperator) -> None:
        assert shop.cluster.server is not None
        await shop.open_pool()
        await shop.until_replicas(0)

        await shop.cluster.server.go_down()
        shop.arrive(60)
        await asyncio.sleep(0.4)
        await shop.cluster.server.come_back()

        await shop.until_replicas(3)

    async def test_forgets_its_history_the_operator_lists_again(self, shop: Shop, operator: RunningOperator) -> None:
        assert shop.cluster.server is not None
        await shop.open_pool()
        await shop.until_replicas(0)

        shop.cluster.server.expire(tells_watches=True)
        await shop.open_pool("second", queues=[{"name": "email"}])
        shop.arrive(60, "email")

        await shop.until_replicas(3, "second")

    async def test_refuses_a_template_what_runs_is_scaled_all_the_same(
        self, shop: Shop, operator: RunningOperator
    ) -> None:
        assert shop.cluster.server is not None
        await shop.open_pool()
        shop.arrive(40)
        await shop.until_replicas(2)

        shop.cluster.server.faults.add(Fault(status=422, verb="patch", resource="deployments.apps", subresource=""))
        await shop.change_pool({"template": {"spec": {"containers": [{"name": "worker", "image": "example/2"}]}}})
        await shop.until_condition("Ready", lambda _, reason, __: reason == "FailedUpdateTemplate")
        shop.arrive(60)

        await shop.until_replicas(5)

    async def test_hangs_the_operator_still_leaves(self, shop: Shop, operator: RunningOperator) -> None:
        assert shop.cluster.server is not None
        await shop.open_pool()
        await shop.until_replicas(0)
        await shop.until_condition("AbleToScale", lambda status, *_: status == "True")

        shop.cluster.server.faults.add(Fault(hang=True))
        shop.arrive(60)
        await shop.cluster.until(lambda: _asks_for_scale(shop), "a request that hangs")
        asked = time.monotonic()
        status = await operator.stop()

        assert status == 0
        assert time.monotonic() - asked < KOPF_WAITS

    async def test_hangs_from_the_start_the_operator_leaves_and_asks_nothing_again(
        self, shop: Shop, tmp_path: Path
    ) -> None:
        assert shop.cluster.server is not None
        hanging = shop.cluster.server.faults.add(Fault(hang=True, path="^/apis?$"))
        async with shop.operating(until="leading") as running:
            await until(lambda: hanging.hits, "kopf asks what the API server serves")
            asked = time.monotonic()
            assert await running.stop() == 0

            assert time.monotonic() - asked < KOPF_WAITS
        assert not [line for line in running.log if "attempt" in line]

    @pytest.mark.parametrize("code", [401, 429, 500, 503, 504])
    async def test_refuses_everything_for_a_while_the_operator_goes_on_afterwards(
        self, shop: Shop, operator: RunningOperator, code: int
    ) -> None:
        assert shop.cluster.server is not None
        await shop.open_pool()
        await shop.until_replicas(0)
        await shop.until_condition("AbleToScale", lambda status, *_: status == "True")

        storm = shop.cluster.server.faults.add(Fault(status=code))
        shop.cluster.server.cut_watches()
        shop.arrive(60)
        await shop.cluster.until(lambda: _asks_for_scale(shop), "a request that is refused")
        storm.clear()

        await shop.until_replicas(3)
        await shop.until_condition("AbleToScale", lambda status, *_: status == "True")


async def _asks_for_scale(shop: Shop) -> bool:
    assert shop.cluster.server is not None
    return bool(shop.cluster.server.journal.find(resource="deployments.apps", subresource="scale"))
