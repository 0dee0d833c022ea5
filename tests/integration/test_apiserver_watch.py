"""Watches, as a client needs them to miss no change: on our API server and on a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.api_cluster import ApiCluster, Object
from tests.support.crews import crew
from tests.support.waiting import DEADLINE


async def take(events: AsyncIterator[Object], count: int) -> list[tuple[str, str, int]]:
    """The next events as type, name and size."""
    taken = []
    async with asyncio.timeout(DEADLINE):
        for _ in range(count):
            event = await anext(events)
            body = event["object"]
            taken.append((event["type"], body["metadata"]["name"], body["spec"]["size"]))
    return taken


async def listed(crews: ApiCluster, namespace: str) -> str:
    """The resourceVersion of a list made now."""
    return str((await crews.ask("GET", crews.path("Crew", namespace))).body["metadata"]["resourceVersion"])


async def test_begins_with_what_is_there_and_goes_on_with_every_change(crews: ApiCluster, namespace: str) -> None:
    await crews.create(crew(namespace, "a"))
    await crews.create(crew(namespace, "b"))

    async with crews.watching("Crew", namespace, resourceVersion="0") as events:
        there = await take(events, 2)
        await crews.patch("Crew", namespace, "a", {"spec": {"size": 2}})
        await crews.delete("Crew", namespace, "b")
        changes = await take(events, 2)

    assert sorted(there) == [("ADDED", "a", 1), ("ADDED", "b", 1)]
    assert changes == [("MODIFIED", "a", 2), ("DELETED", "b", 1)]


async def test_resumes_from_a_version_and_leaves_nothing_out(crews: ApiCluster, namespace: str) -> None:
    await crews.create(crew(namespace, "a"))
    version = await listed(crews, namespace)
    await crews.create(crew(namespace, "b"))
    await crews.patch("Crew", namespace, "a", {"spec": {"size": 2}})

    async with crews.watching("Crew", namespace, resourceVersion=version) as events:
        missed = await take(events, 2)

    assert missed == [("ADDED", "b", 1), ("MODIFIED", "a", 2)]


async def test_carries_the_version_of_each_change(crews: ApiCluster, namespace: str) -> None:
    version = await listed(crews, namespace)
    async with crews.watching("Crew", namespace, resourceVersion=version) as events:
        made = await crews.create(crew(namespace, "a"))
        seen = await anext(events)

    assert seen["object"] == made


async def test_shows_another_namespaces_objects_to_who_watches_all(crews: ApiCluster, namespace: str) -> None:
    version = await listed(crews, "")
    async with crews.watching("Crew", resourceVersion=version) as events:
        await crews.create(crew(namespace, "a"))
        everywhere = await take(events, 1)
    async with crews.watching("Crew", "default", resourceVersion=version, timeoutSeconds="1") as events:
        elsewhere = [event async for event in events]

    assert everywhere == [("ADDED", "a", 1)]
    assert elsewhere == []


async def test_shows_what_comes_into_a_selector_as_added_and_what_leaves_it_as_deleted(
    crews: ApiCluster, namespace: str
) -> None:
    version = await listed(crews, namespace)
    async with crews.watching("Crew", namespace, resourceVersion=version, labelSelector="tier=front") as events:
        await crews.create(crew(namespace, "a"))
        await crews.patch("Crew", namespace, "a", {"metadata": {"labels": {"tier": "front"}}})
        await crews.patch("Crew", namespace, "a", {"spec": {"size": 2}})
        await crews.patch("Crew", namespace, "a", {"metadata": {"labels": {"tier": "back"}}})
        await crews.delete("Crew", namespace, "a")
        await crews.create(
            {**crew(namespace, "b"), "metadata": {"name": "b", "labels": {"tier": "front"}, "namespace": namespace}}
        )
        seen = await take(events, 4)

    assert seen == [("ADDED", "a", 1), ("MODIFIED", "a", 2), ("DELETED", "a", 2), ("ADDED", "b", 1)]


async def test_ends_when_its_time_is_over_with_a_bookmark_to_resume_from(crews: ApiCluster, namespace: str) -> None:
    version = await listed(crews, namespace)
    seen = []
    query = {"resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": "3"}
    async with crews.watching("Crew", namespace, **query) as events:
        made = await crews.create(crew(namespace, "a"))
        async with asyncio.timeout(DEADLINE):
            seen = [event async for event in events]
    bookmark = seen[-1]
    async with crews.watching(
        "Crew", namespace, resourceVersion=bookmark["object"]["metadata"]["resourceVersion"]
    ) as later:
        await crews.create(crew(namespace, "b"))
        after = await take(later, 1)

    assert (seen[0]["type"], {event["type"] for event in seen[1:]}) == ("ADDED", {"BOOKMARK"})
    assert (bookmark["object"]["kind"], bookmark["object"]["apiVersion"]) == ("Crew", "example.dev/v1")
    assert int(bookmark["object"]["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])
    assert after == [("ADDED", "b", 1)]


async def test_marks_the_end_of_what_was_there_for_who_lists_by_watching(crews: ApiCluster, namespace: str) -> None:
    await crews.create(crew(namespace, "a"))
    query = {"sendInitialEvents": "true", "allowWatchBookmarks": "true", "resourceVersionMatch": "NotOlderThan"}

    async with crews.watching("Crew", namespace, **query) as events:
        async with asyncio.timeout(DEADLINE):
            first = await anext(events)
            if first["type"] == "ERROR" and "RequestWatchProgress" in first["object"]["message"]:
                pytest.skip(f"the etcd of the real control plane is too old: {first['object']['message']}")
            second = await anext(events)

    assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "a")
    assert (second["type"], second["object"]["metadata"]["annotations"]) == (
        "BOOKMARK",
        {"k8s.io/initial-events-end": "true"},
    )


async def test_tells_a_watch_from_too_long_ago_that_it_must_list_again(crews: ApiCluster, namespace: str) -> None:
    await crews.create(crew(namespace, "a"))
    if crews.server:
        crews.server.expire()

    async with crews.watching("Crew", namespace, resourceVersion="1") as events:
        async with asyncio.timeout(DEADLINE):
            seen = [event async for event in events]

    assert [event["type"] for event in seen] == ["ERROR"]
    assert (seen[0]["object"]["code"], seen[0]["object"]["reason"]) == (410, "Expired")
    assert seen[0]["object"]["message"].startswith("too old resource version: 1 (")


async def test_cannot_list_at_a_version_that_is_yet_to_come(crews: ApiCluster, namespace: str) -> None:
    query = {"resourceVersion": "999999999", "resourceVersionMatch": "NotOlderThan"}
    reply = await crews.ask("GET", crews.path("Crew", namespace), **query)

    assert (reply.status, reply.body["reason"]) == (504, "Timeout")
    assert reply.body["message"].startswith("Timeout: Too large resource version: 999999999, current: ")


async def test_watches_built_in_kinds_as_well(cluster: ApiCluster, namespace: str) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": namespace},
        "data": {"a": "1"},
    }
    async with cluster.watching("ConfigMap", namespace, fieldSelector="metadata.name=c", resourceVersion="0") as events:
        await cluster.create(config)
        await cluster.patch("ConfigMap", namespace, "c", {"data": {"a": "2"}})
        async with asyncio.timeout(DEADLINE):
            seen = [await anext(events), await anext(events)]

    assert [(it["type"], it["object"]["kind"], it["object"]["data"]) for it in seen] == [
        ("ADDED", "ConfigMap", {"a": "1"}),
        ("MODIFIED", "ConfigMap", {"a": "2"}),
    ]
