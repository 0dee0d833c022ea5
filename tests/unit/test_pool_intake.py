"""What the API server tells of WorkerPools, and what becomes of them in the engine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import kubernetes.client
import pytest
from tests.support.stage import Stage
from tests.support.workerpools import workerpool

from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.adapters.prometheus import PoolMetrics
from crewcall_operator.adapters.status import StatusWriter
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.intake import Intake

KEY = PoolKey("shop", "notifications")
GOING = "2026-01-02T00:00:00Z"


@pytest.fixture
async def stage() -> Stage:
    return Stage()


@pytest.fixture
async def intake(stage: Stage) -> Any:
    api = KubernetesApi(kubernetes.client.Configuration())
    status = StatusWriter(api, lambda: datetime(2026, 1, 2, tzinfo=UTC), stage.time)
    yield Intake(stage.engine, status, PoolMetrics())
    await api.aclose()


def body(**metadata: Any) -> dict[str, Any]:
    found = workerpool()
    found["metadata"] |= {"uid": "uid", "generation": 1, "resourceVersion": "5", **metadata}
    return found


def invalid(**metadata: Any) -> dict[str, Any]:
    found = body(**metadata)
    never = {"name": "day", "start": "0 25 * * *", "end": "0 9 * * *", "minReplicas": 1}
    return {**found, "spec": {**found["spec"], "schedules": [never]}}


async def test_takes_on_a_pool_that_is_there(stage: Stage, intake: Intake) -> None:
    await intake.saw(body())

    assert [pool.uid for pool in stage.engine.pools] == ["uid"]


async def test_does_not_take_on_a_pool_that_waits_for_its_finalizers(stage: Stage, intake: Intake) -> None:
    await intake.saw(body(deletionTimestamp=GOING, finalizers=["example.org/kept"]))

    assert list(stage.engine.pools) == []
    assert intake.known == {}


async def test_lets_go_of_a_pool_when_it_begins_to_wait_for_its_finalizers(stage: Stage, intake: Intake) -> None:
    await intake.saw(body())

    await intake.saw(body(deletionTimestamp=GOING, generation=2))

    assert list(stage.engine.pools) == []
    assert stage.workers.released == ["uid"]


async def test_tells_of_an_invalid_pool_though_its_predecessor_goes_late(stage: Stage, intake: Intake) -> None:
    stage.engine.reporters = (intake.status, intake.metrics)
    await intake.saw(body(uid="old"))
    await intake.saw(invalid(uid="new", resourceVersion="6"))

    await intake.lost(body(uid="old"))
    await intake.saw(invalid(uid="new", resourceVersion="7"))

    assert intake.known == {KEY: "new"}
    assert list(intake.status._pages) == [KEY]


async def test_lets_go_of_what_a_predecessor_ran_whose_deletion_nobody_told(stage: Stage, intake: Intake) -> None:
    stage.engine.reporters = (intake.status, intake.metrics)
    await intake.saw(body(uid="old"))

    await intake.saw(invalid(uid="new", resourceVersion="6"))
    await intake.lost(invalid(uid="new", resourceVersion="7"))

    assert stage.workers.released == ["old"]
    assert list(intake.status._pages) == []
    assert intake.known == {}


async def test_takes_no_notice_of_an_older_sight_than_the_last(stage: Stage, intake: Intake) -> None:
    await intake.saw(body(uid="new", resourceVersion="10"))

    await intake.saw(body(uid="old", resourceVersion="9"))

    assert [pool.uid for pool in stage.engine.pools] == ["new"]
