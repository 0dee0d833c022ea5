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
from crewcall_operator.adapters.status import RETRY_REFUSED, StatusWriter
from crewcall_operator.adapters.status_page import ONE_CHANGE, ONE_STORY
from crewcall_operator.core.decision import Decision, Reason, Step
from crewcall_operator.core.observation import Fleet
from crewcall_operator.errors import ApiError, QueueUnavailable, TargetUnavailable
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
        self.refusing: ApiError | None = None

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.events.append((body["reason"], body["message"]))
        return dict(body)

    async def patch(self, path: str, body: object, kind: str = "") -> dict[str, Any]:
        self.statuses += 1
        await self.answers.wait()
        if self.refusing is not None:
            raise self.refusing
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


def scaled(replicas: int, before: int = 4) -> Report:
    return _report(replicas, Reason.BACKLOG_DRAIN, applied=True, fleet=Fleet(before, before))


def _parted(event: tuple[str, str]) -> tuple[str, str, str]:
    """Of a message such as "Scaled up from 4 to 7: words", the numbers first."""
    change, _, why = event[1].removeprefix("Scaled up ").partition(": ")
    return change, why, event[0]


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


async def test_changes_of_replicas_in_a_row_are_told_as_one(desk: Desk) -> None:
    await desk.hears(scaled(7), scaled(9, before=7), scaled(12, before=9), fine())
    desk.now = ONE_CHANGE
    await desk.hears(fine())

    assert [told for told, _, _ in map(_parted, desk.cluster.events)] == ["from 4 to 7", "from 7 to 12"]


async def test_changes_for_two_reasons_are_both_told(desk: Desk) -> None:
    assert await desk.hears(scaled(7), _report(4, Reason.BACKLOG_FELL, applied=True, fleet=Fleet(7, 7))) == [
        "BacklogDrain",
        "BacklogFell",
    ]


async def test_what_came_to_nothing_is_not_told(desk: Desk) -> None:
    await desk.hears(scaled(7), scaled(9, before=7), scaled(7, before=9))
    desk.now = ONE_CHANGE

    assert await desk.hears(fine()) == []


async def test_a_status_that_is_refused_is_told_once_and_sent_now_and_then(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.cluster.refusing = ApiError(422, "status.conditions[0].message: Too long")
    for _ in range(3):
        await desk.hears(fine())
    assert desk.cluster.statuses == 1

    desk.now = RETRY_REFUSED
    await desk.hears(fine())
    assert desk.cluster.statuses == 2
    assert [it.message for it in caplog.records if "refused" in it.message] == [
        "shop/notifications: its status was refused, and is sent every 30 s: status.conditions[0].message: Too long"
    ]

    desk.cluster.refusing, desk.now = None, 2 * RETRY_REFUSED
    await desk.hears(fine())
    assert desk.cluster.statuses == 3
    assert await desk.writer.flush()
