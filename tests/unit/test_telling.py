"""What the board is told of a pool, and when that is worth a write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.pools import pool, seen
from tests.unit.test_status import CONFLICT, blind, decided, report

from crewcall_operator.api.telling import NOTHING, SAMPLE_EVERY, TOLD_AGAIN, News, Told, news
from crewcall_operator.core.decision import Reason
from crewcall_operator.core.observation import Fleet
from crewcall_operator.core.pin import Pin
from crewcall_operator.core.policy import Mode, QueueLatency
from crewcall_operator.core.victims import Plan
from crewcall_operator.ports import Report
from crewcall_worker.wire import HistoryEntry, PoolRecord

STEADY = PoolRecord(
    pool="shop/notifications",
    queues=("sms",),
    mode="Auto",
    min_replicas=0,
    max_replicas=10,
    target="10 outstanding jobs for each replica",
    desired=4,
    current=4,
    ready_replicas=4,
    draining=None,
    reason="SteadyLoad",
    message=decided(4, Reason.STEADY_LOAD).message,
)
SAMPLE = HistoryEntry(
    at_ms=0, ready=120, in_flight=32, delayed=0, oldest_ms=4_100, desired=4, current=4, ready_replicas=4
)


def record_of(told: Report) -> PoolRecord:
    """All that is told of how the pool is."""
    record = news(told, NOTHING).record
    assert record is not None
    return record


def later(seconds: float, **fields: Any) -> Report:
    """A report of so many seconds after the first one."""
    return report(at=100.0 + seconds, **fields)


@pytest.fixture
def told() -> Told:
    """What was told at the first report, at 100 s."""
    return news(report(), NOTHING).told


def test_a_pool_that_is_new_is_told_of_in_full() -> None:
    found = news(report(), NOTHING)

    assert (found.record, found.entry) == (STEADY, SAMPLE)


def test_a_pool_that_stays_as_it_is_writes_nothing(told: Told) -> None:
    assert news(later(TOLD_AGAIN - 1), told) == News(None, None, told)


def test_it_is_told_again_long_before_it_is_forgotten(told: Told) -> None:
    found = news(later(TOLD_AGAIN), told)

    assert (found.record, found.entry) == (STEADY, None)
    assert news(later(2 * TOLD_AGAIN - 1), found.told) == News(None, None, found.told)


@pytest.mark.parametrize(("after", "is_told"), [(SAMPLE_EVERY - 0.1, False), (SAMPLE_EVERY, True)])
def test_a_backlog_that_changes_is_told_at_intervals(told: Told, after: float, is_told: bool) -> None:
    words = decided(4, Reason.STEADY_LOAD, message="90 ready")

    found = news(later(after, observation=seen(ready=90), decision=words), told)

    expected = replace(SAMPLE, ready=90, in_flight=0, oldest_ms=None)
    assert (found.record, found.entry) == ((replace(STEADY, message="90 ready"), expected) if is_told else (None, None))


@pytest.mark.parametrize(
    ("fields", "told_as"),
    [
        ({"fleet": Fleet(current=4, ready=3)}, {"ready_replicas": 3}),
        ({"plan": Plan(4, draining=("pod-1",))}, {"draining": 1}),
        ({"pin": Pin(4, "ada")}, {"pinned": 4, "pinned_by": "ada"}),
        ({"decision": decided(4, Reason.WITHIN_TOLERANCE)}, {"reason": "WithinTolerance"}),
    ],
)
def test_what_is_no_backlog_is_told_at_once(told: Told, fields: dict[str, Any], told_as: dict[str, Any]) -> None:
    found = news(later(1.0, **fields), told)

    assert (found.record, found.entry) == (replace(STEADY, **told_as), None)


def test_a_decision_that_moves_the_replicas_is_told_at_once_with_its_words(told: Told) -> None:
    found = news(later(1.0, decision=decided(7, Reason.BACKLOG_DRAIN, message="so many")), told)

    assert found.entry == replace(SAMPLE, desired=7, reason="BacklogDrain", message="so many")
    assert found.record == replace(STEADY, desired=7, reason="BacklogDrain", message="so many")


def test_on_the_way_to_the_replicas_that_were_decided_on_there_is_no_new_decision(told: Told) -> None:
    down = decided(2, Reason.BACKLOG_FELL)
    first = news(later(1.0, decision=down), told)

    then = news(later(2.0, decision=down, fleet=Fleet(current=3, ready=3)), first.told)

    assert (first.entry is not None, then.entry) == (True, None)


def test_a_number_that_is_only_recommended_moves_nothing(told: Told) -> None:
    recommending = replace(pool(), policy=replace(pool().policy, mode=Mode.RECOMMEND))

    found = news(later(1.0, pool=recommending, decision=decided(7, Reason.BACKLOG_DRAIN)), told)

    assert found.entry is None
    assert found.record is not None
    assert (found.record.desired, found.record.mode) == (7, "Recommend")


def test_what_is_not_known_is_not_told_as_zero(told: Told) -> None:
    found = news(replace(blind(), at=100.0 + SAMPLE_EVERY), told)

    assert found.entry == HistoryEntry(at_ms=0, desired=4, current=4, ready_replicas=4)


def test_a_pool_without_a_decision_says_what_is_wrong() -> None:
    found = record_of(report(fleet=None, decision=None, failure=CONFLICT))

    assert (found.desired, found.current, found.reason, found.message) == (
        None,
        None,
        "FailedUpdateScale",
        "deployments.apps is forbidden",
    )


def test_a_pin_of_the_spec_goes_before_one_by_hand() -> None:
    pinned = replace(pool(), policy=replace(pool().policy, pinned=2))

    found = record_of(report(pool=pinned, pin=Pin(4, "ada")))

    assert (found.pinned, found.pinned_by) == (2, "spec.replicas")


def test_a_promise_is_told_as_one() -> None:
    promised = replace(pool(), policy=replace(pool().policy, target=QueueLatency(30.0)))

    assert record_of(report(pool=promised)).target == "95 % of jobs start within 30 s"
