"""Faults on demand and the journal: what only the tests' own API server can do."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from tests.support.api_cluster import ApiCluster
from tests.support.apiserver import ApiServer, Fault, ServerOptions, ServerThread
from tests.support.crews import CREW_DEFINITION, crew, deployment


@pytest.fixture
def server(memory: ApiCluster) -> ApiServer:
    """The server itself, to be told what to do wrong."""
    assert memory.server is not None
    return memory.server


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (409, "Conflict"),
        (410, "Expired"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
    ],
)
async def test_answers_with_a_failure_as_often_as_it_is_told(
    memory: ApiCluster, server: ApiServer, status: int, reason: str
) -> None:
    fault = server.faults.add(Fault(status=status, verb="list", resource="pods", times=2))
    path = memory.path("Pod", "default")

    replies = [await memory.ask("GET", path) for _ in range(3)]
    spared = await memory.ask("GET", memory.path("Secret", "default"))

    assert [reply.status for reply in replies] == [status, status, 200]
    assert replies[0].body["reason"] == reason
    assert (spared.status, fault.hits) == (200, 2)


async def test_says_how_long_to_wait(memory: ApiCluster, server: ApiServer) -> None:
    server.faults.add(Fault(status=429, retry_after=7))
    reply = await memory.ask("GET", "/version")

    assert reply.headers["Retry-After"] == "7"
    assert reply.body["details"] == {"retryAfterSeconds": 7}


async def test_hangs_until_the_fault_is_cleared(memory: ApiCluster, server: ApiServer) -> None:
    fault = server.faults.add(Fault(hang=True, verb="get"))
    waiting = asyncio.create_task(memory.get("Namespace", "", "default"))

    async def is_hit() -> bool:
        return fault.hits == 1

    await memory.until(is_hit, "the request arrived")
    hung = not waiting.done()
    others = await memory.list("Namespace")
    fault.clear()

    assert hung
    assert (await waiting)["metadata"]["name"] == "default"
    assert len(others) == 4


async def test_answers_late(memory: ApiCluster, server: ApiServer) -> None:
    server.faults.add(Fault(delay=0.2, verb="get"))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await memory.get("Namespace", "", "default")

    assert loop.time() - began >= 0.2


async def test_breaks_a_connection_off(memory: ApiCluster, server: ApiServer) -> None:
    server.faults.add(Fault(reset=True, verb="create", times=1))
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
    with pytest.raises(aiohttp.ClientConnectionError):
        await memory.create(config)

    assert await memory.find("ConfigMap", "default", "a") is None
    assert await memory.create(config)


async def test_is_gone_and_comes_back_as_it_was(memory: ApiCluster, server: ApiServer) -> None:
    await memory.define(CREW_DEFINITION)
    made = await memory.create(crew("default"))
    async with memory.watching("Crew", "default") as events:
        await anext(events)
        await server.go_down()
        with pytest.raises(aiohttp.ClientError):
            await anext(events)
    with pytest.raises(aiohttp.ClientConnectorError):
        await memory.get("Crew", "default", "a")
    await server.come_back()

    assert await memory.get("Crew", "default", "a") == made


async def test_resets_every_connection_while_it_is_down(memory: ApiCluster, server: ApiServer) -> None:
    await server.go_down(resets=True)
    with pytest.raises(aiohttp.ClientConnectionError):
        await memory.list("Namespace")
    await server.come_back()

    assert len(await memory.list("Namespace")) == 4


async def test_cuts_watches_of_one_kind_and_leaves_the_others(memory: ApiCluster, server: ApiServer) -> None:
    async with memory.watching("Pod", "default") as pods, memory.watching("Namespace") as namespaces:
        for _ in range(4):
            await anext(namespaces)
        cut = server.cut_watches("pods")
        ended = [event async for event in pods]
        await memory.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "more"}})
        seen = await anext(namespaces)

    assert (cut, ended) == (1, [])
    assert seen["object"]["metadata"]["name"] == "more"


async def test_tells_running_watches_that_they_are_too_old(memory: ApiCluster, server: ApiServer) -> None:
    async with memory.watching("Pod", "default", resourceVersion=str(server.store.revision)) as pods:
        server.expire(tells_watches=True)
        seen = [event async for event in pods]

    assert [(event["type"], event["object"]["code"]) for event in seen] == [("ERROR", 410)]


async def test_lets_no_list_go_on_that_began_too_long_ago(memory: ApiCluster, server: ApiServer) -> None:
    first = (await memory.ask("GET", memory.path("Namespace"), limit="2")).body
    await memory.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})
    server.expire()
    second = await memory.ask("GET", memory.path("Namespace"), limit="2", continue_=first["metadata"]["continue"])
    third = await memory.ask("GET", memory.path("Namespace"), continue_=second.body["metadata"]["continue"])

    assert (second.status, second.body["reason"]) == (410, "Expired")
    assert [it["metadata"]["name"] for it in third.body["items"]] == ["kube-public", "kube-system"]


async def test_forgets_the_oldest_changes_when_there_are_too_many() -> None:
    async with ApiServer(ServerOptions(history=3)) as server:
        began = server.store.revision
        for index in range(4):
            server.create(
                "configmaps",
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{index}", "namespace": "default"}},
            )
        too_old = server.store.since("configmaps", began)
        recent = server.store.since("configmaps", began + 1)

    assert too_old is None
    assert [change.record.object["metadata"]["name"] for change in recent or ()] == ["c1", "c2", "c3"]


async def test_sends_bookmarks_as_often_as_it_is_told() -> None:
    async with (
        ApiServer(ServerOptions(bookmark_interval=0.01)) as server,
        aiohttp.ClientSession() as session,
        session.get(f"{server.url}/api/v1/pods?watch=1&allowWatchBookmarks=true") as response,
    ):
        lines = [await response.content.readline() for _ in range(2)]

    assert all(line.startswith(b'{"type":"BOOKMARK"') for line in lines)


async def test_keeps_a_journal_of_who_asked_what(memory: ApiCluster, server: ApiServer) -> None:
    server.journal.clear()
    await memory.create(deployment("default", replicas=0))
    await memory.patch("Deployment", "default", "web", {"spec": {"replicas": 2}}, subresource="scale")
    await memory.ask("GET", memory.path("Deployment", "default", "nope"))
    refused = await memory.ask(
        "PATCH", memory.path("Deployment", "default", "nope", "scale"), {}, media_type="application/merge-patch+json"
    )

    asked = [(it.verb, it.resource, it.subresource, it.name, it.status) for it in server.journal.entries]
    scaled = server.journal.find(verb="patch", subresource="scale", name="web")[0]
    assert asked == [
        ("create", "deployments.apps", "", "", 201),
        ("patch", "deployments.apps", "scale", "web", 200),
        ("get", "deployments.apps", "", "nope", 404),
        ("patch", "deployments.apps", "scale", "nope", 404),
    ]
    assert refused.status == 404
    assert (scaled.body, scaled.agent, scaled.token) == ({"spec": {"replicas": 2}}, "crewcall-tests/1", memory.token)
    assert scaled.answered_at >= scaled.at
    assert [it.verb for it in server.journal.writes("deployments.apps")] == ["create", "patch"]


async def test_serves_from_a_thread_of_its_own_as_well() -> None:
    with ServerThread() as thread:
        async with aiohttp.ClientSession() as session, session.get(f"{thread.server.url}/version") as response:
            version = await response.json()
        asked = [entry.path for entry in thread.server.journal.entries]

    assert (version["minor"], asked) == ("36", ["/version"])
