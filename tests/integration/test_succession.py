"""Several operators: one writes, the others take over; and never do two write, whatever becomes of the leader."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.support.api_cluster import ApiCluster
from tests.support.apiserver import ApiServer, Fault
from tests.support.apiserver.access import service_account
from tests.support.rights import RELEASE
from tests.support.shop import Shop, installed
from tests.support.succession import LEASES, Succession
from tests.support.waiting import until
from tests.support.workerpools import CRD_FILE

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_operator.core.leadership import Terms


@pytest.fixture
def redis() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
async def shop(memory: ApiCluster, redis: EmbeddedRedis, tmp_path: Path) -> Shop:
    await memory.install_crd(CRD_FILE)
    await memory.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    return await installed(memory, "shop", redis.url, tmp_path, everywhere=True)


@pytest.fixture
async def pair(shop: Shop, tmp_path: Path) -> AsyncIterator[Succession]:
    """Two operators, one of which leads."""
    async with AsyncExitStack() as stack:
        account = service_account("shop", RELEASE)
        pair = Succession(server(shop), tmp_path, stack, (f"--lease=shop/{RELEASE}",), account)
        await pair.start()
        await until(lambda: pair.leader, "the first one leads")
        await pair.start()
        await until(lambda: "leads" in log(pair, pair.standbys[0]), "the second one stands by")
        yield pair


def server(shop: Shop) -> ApiServer:
    assert shop.cluster.server is not None
    return shop.cluster.server


def log(pair: Succession, token: str) -> str:
    return "\n".join(pair.operators[token].log)


def transitions(status: dict[str, Any]) -> dict[str, str]:
    """When each condition last changed; but for the one that tells of the pods, which come and start meanwhile."""
    conditions = [it for it in status["conditions"] if it["type"] != "WorkersSeen"]
    return {it["type"]: it["lastTransitionTime"] for it in conditions}


async def test_one_of_two_writes_and_the_other_only_watches(pair: Succession, shop: Shop) -> None:
    await shop.open_pool()
    shop.arrive(60)
    await shop.until_replicas(3)
    await shop.until_condition("Ready", lambda status, *_: status == "True")

    assert {entry.token for entry in pair.writes()} == {pair.leader}
    assert " -> 3 " not in log(pair, pair.standbys[0])
    assert " -> 3 " in log(pair, pair.leader)
    assert len(await shop.events()) == 1


async def test_the_other_takes_over_from_one_that_was_killed(pair: Succession, shop: Shop) -> None:
    await shop.open_pool()
    shop.arrive(60)
    await shop.until_replicas(3)
    (heir,) = pair.standbys

    pair.operators[pair.leader].process.kill()
    shop.arrive(60)
    await shop.until_replicas(6)

    assert (pair.leader, pair.strays()) == (heir, [])


async def test_the_lease_is_given_back_at_a_clean_end_after_the_last_word(pair: Succession, shop: Shop) -> None:
    first, (heir,) = pair.leader, pair.standbys
    await shop.open_pool()
    await shop.until_condition("Ready", lambda status, *_: status == "True")

    assert await pair.operators[first].stop() == 0

    await until(lambda: pair.leader == heir, "the other one leads")
    assert [holder for _, holder in pair.tenures()] == [first, "", heir]
    assert pair.strays() == []


async def test_the_lease_is_kept_where_the_last_word_may_come_late(pair: Succession, shop: Shop) -> None:
    first, (heir,) = pair.leader, pair.standbys
    late = server(shop).faults.add(Fault(hang=True, token=first, subresource="status"))
    await shop.open_pool()
    await until(lambda: late.hits, "a status on its way")

    assert await pair.operators[first].stop() == 0
    late.clear()  # it comes now

    await until(lambda: pair.leader == heir, "the other one leads")
    assert [holder for _, holder in pair.tenures()] == [first, heir]
    assert pair.strays() == []


async def test_who_takes_over_tells_of_nothing_anew(pair: Succession, shop: Shop) -> None:
    await shop.open_pool()
    shop.arrive(60)
    await shop.until_replicas(3)
    await shop.until_condition("Ready", lambda status, *_: status == "True")
    (heir,) = pair.standbys
    before, events = await shop.status(), await shop.events()

    await pair.operators[pair.leader].stop()
    await until(lambda: pair.leader == heir, "the other one leads")
    shop.arrive(20)
    await shop.until_replicas(4)

    assert (await shop.events())[: len(events)] == events
    assert len(await shop.events()) == len(events) + 1
    assert transitions(await shop.status()) == transitions(before)


async def test_a_leader_that_is_cut_off_from_the_api_stops_before_the_other_begins(
    pair: Succession, shop: Shop
) -> None:
    await shop.open_pool()
    shop.arrive(60)
    await shop.until_replicas(3)
    first, (heir,) = pair.leader, pair.standbys

    cut = server(shop).faults.add(Fault(hang=True, token=first))
    server(shop).cut_watches()
    shop.arrive(60)
    await shop.until_replicas(6)
    assert pair.leader == heir
    cut.clear()
    await until(lambda: "standing by" in log(pair, first), "the first one stands by")
    shop.arrive(20)
    await shop.until_replicas(7)

    assert pair.strays() == []
    assert {entry.token for entry in pair.writes() if entry.subresource == "scale"} == {first, heir}


async def test_a_leader_that_was_frozen_writes_nothing_when_it_wakes(pair: Succession, shop: Shop) -> None:
    await shop.open_pool()
    shop.arrive(60)
    await shop.until_replicas(3)
    first, (heir,) = pair.leader, pair.standbys

    pair.operators[first].process.send_signal(signal.SIGSTOP)
    try:
        shop.arrive(60)
        await shop.until_replicas(6)
    finally:
        pair.operators[first].process.send_signal(signal.SIGCONT)
    woken = time.monotonic()
    await until(lambda: "standing by" in log(pair, first), "the first one stands by")
    shop.arrive(20)
    await shop.until_replicas(7)

    assert {entry.token for entry in pair.writes(woken)} == {heir}


async def test_leads_again_after_the_api_was_away_for_both(pair: Succession, shop: Shop) -> None:
    await shop.open_pool()
    shop.arrive(60)
    await shop.until_replicas(3)

    await server(shop).go_down()
    await until(lambda: "no longer leading" in log(pair, pair.leader), "the leader stops writing")
    await server(shop).come_back()
    shop.arrive(60)
    await shop.until_replicas(6)

    assert pair.strays() == []


async def test_an_invalid_pool_is_told_of_once_by_the_leader(pair: Succession, shop: Shop) -> None:
    definition = await shop.cluster.get("CustomResourceDefinition", "", "workerpools.crewcall.dev")
    properties = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    properties["spec"]["properties"]["cooldown"] = {"type": "string"}  # as under an older, laxer definition
    await shop.cluster.replace(definition)
    await shop.open_pool("wrong", cooldown="a while")
    await shop.until_condition("Ready", lambda status, *_: status == "False", "wrong")
    (heir,) = pair.standbys

    await pair.operators[pair.leader].stop()
    await until(lambda: pair.leader == heir, "the other one leads")
    await shop.open_pool()
    await shop.until_condition("Ready", lambda status, *_: status == "True")

    assert [reason for reason, _ in await shop.events("wrong")] == ["InvalidSpec"]


async def test_says_in_its_metrics_which_one_leads_and_counts_no_pool_twice(pair: Succession, shop: Shop) -> None:
    await shop.open_pool()
    await shop.until_condition("Ready", lambda status, *_: status == "True")
    (standby,) = pair.standbys
    found = {}
    async with aiohttp.ClientSession() as session:
        for token in (pair.leader, standby):
            async with session.get(f"http://{pair.operators[token].address}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            async with session.get(f"http://{pair.operators[token].address}/readyz") as answer:
                ready = answer.status
            pools = [line for line in lines if line.startswith("crewcall_pool_current_replicas{")]
            found[token] = ([line for line in lines if line.startswith("crewcall_leader")], len(pools), ready)

    assert found == {pair.leader: (["crewcall_leader 1.0"], 1, 200), standby: (["crewcall_leader 0.0"], 0, 200)}


async def test_asks_for_the_lease_about_every_two_seconds_and_by_nobody_else(pair: Succession, shop: Shop) -> None:
    began = time.monotonic()
    count = len(server(shop).journal.find(resource=LEASES))
    await until(lambda: time.monotonic() - began >= 5.0, "five seconds have gone by")

    asked = server(shop).journal.find(resource=LEASES)[count:]
    assert {entry.token for entry in asked} == {pair.leader}
    assert len(asked) <= (time.monotonic() - began) / Terms().renewal + 1
