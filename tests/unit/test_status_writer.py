"""Events, as they reach the cluster: a story is told once, and every change of replicas is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import kubernetes.client
import pytest
from tests.support.pools import pool, seen

from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.adapters.status import ONE_STORY, StatusWriter
from crewcall_operator.core.model import Decision, Fleet, Reason, Step
from crewcall_operator.errors import QueueUnavailable, TargetUnavailable
from crewcall_operator.ports import Report

SILENT = QueueUnavailable("redis.shop:6379", "no answer for 2 s")
FORBIDDEN = TargetUnavailable("FailedUpdateScale", "deployments.apps is forbidden", Fleet(4, 4))


class Cluster(KubernetesApi):
    """An API server that takes everything; `events` are those it was given."""

    def __init__(self) -> None:
        super().__init__(kubernetes.client.Configuration())
        self.events: list[tuple[str, str]] = []
        self.statuses = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.events.append((body["reason"], body["message"]))
        return dict(body)

    async def patch(self, path: str, body: object, kind: str = "") -> dict[str, Any]:
        self.statuses += 1
        await self.answers.wait()
        return {}


class Desk:
    """A writer, the clock on its wall, and what the cluster has heard of it."""

    def __init__(self, cluster: Cluster) -> None:
        self.now = 0.0
        self.cluster = self._cluster = cluster
        self.writer = self._writer = StatusWriter(cluster, lambda: datetime(2026, 1, 2, tzinfo=UTC), lambda: self.now)
        self._writer.adopt(pool().key, {"metadata": {"uid": "uid"}})

    async def hears(self, *reports: Report) -> list[str]:
        """The reasons of the Events that these ticks, one after the other, are worth."""
        before = len(self._cluster.events)
        for report in reports:
            self._writer.report(report)
            await self._writer.flush()
        return [reason for reason, _ in self._cluster.events[before:]]


@pytest.fixture
async def desk() -> Any:
    cluster = Cluster()
    yield Desk(cluster)
    await cluster.aclose()


def fine() -> Report:
    return _report(4, Reason.STEADY_LOAD)


def blind() -> Report:
    return _report(4, Reason.REDIS_UNAVAILABLE, observation=None, unavailable=SILENT)


def scaled(replicas: int) -> Report:
    return _report(replicas, Reason.BACKLOG_DRAIN, applied=True)


def _report(replicas: int, reason: Reason, **fields: Any) -> Report:
    decision = Decision(replicas, reason, "words", (Step(replicas, reason),))
    found = {"observation": seen(30), "fleet": Fleet(4, 4), "decision": decision, **fields}
    return Report(pool(), 0.0, **found)


async def test_writes_a_status_once_that_is_found_again_while_it_is_being_written(desk: Desk) -> None:
    desk.cluster.answers.clear()
    desk.writer.report(fine())
    writing = asyncio.create_task(desk.writer.flush())
    await asyncio.sleep(0)
    desk.writer.report(fine())
    desk.cluster.answers.set()

    assert await writing
    assert desk.cluster.statuses == 1


async def test_a_redis_that_comes_and_goes_is_one_story(desk: Desk) -> None:
    assert await desk.hears(fine(), blind(), blind(), fine(), blind(), fine(), blind(), fine()) == [
        "RedisUnavailable",
        "SteadyLoad",
    ]


async def test_the_same_trouble_is_news_again_after_a_while(desk: Desk) -> None:
    await desk.hears(fine(), blind(), fine())
    desk.now = ONE_STORY

    assert await desk.hears(blind(), fine()) == ["RedisUnavailable", "SteadyLoad"]


async def test_another_trouble_is_another_story(desk: Desk) -> None:
    refused = _report(7, Reason.BACKLOG_DRAIN, failure=FORBIDDEN)

    assert await desk.hears(fine(), blind(), refused) == ["RedisUnavailable", "FailedUpdateScale"]


async def test_every_change_of_replicas_is_told(desk: Desk) -> None:
    assert await desk.hears(scaled(7), scaled(9), scaled(7)) == ["BacklogDrain"] * 3
