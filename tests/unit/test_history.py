from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.pools import pool, seen

from crewcall_operator.core.decision import Decision, Reason
from crewcall_operator.core.estimate import Basis, Estimate
from crewcall_operator.core.observation import Fleet
from crewcall_operator.core.saturation import Saturated
from crewcall_operator.errors import QueueUnavailable, TargetUnavailable
from crewcall_operator.local.history import Decided, Entry, Happened, History
from crewcall_operator.ports import Report

POOL = pool("notifications")


def report(at: float, current: int, to: int, reason: Reason, *, applied: bool = False, message: str = "") -> Report:
    return Report(POOL, at, seen(), None, Fleet(current, current), Decision(to, reason, message), applied)


@pytest.fixture
def told() -> list[Entry]:
    return []


@pytest.fixture
def history(told: list[Entry]) -> History:
    return History(clock=lambda: 99.0, follow=told.append)


def test_keeps_every_report_and_tells_what_was_done_when_it_was_done(history: History, told: list[Entry]) -> None:
    up = report(10.0, 0, 4, Reason.ACTIVATED, applied=True, message="120 ready")

    history.report(up)

    assert list(history.reports[POOL.key]) == [up]
    assert told == [Decided(99.0, POOL.key, 0, 4, Reason.ACTIVATED, "120 ready", applied=True)]


def test_tells_a_decision_again_only_when_replicas_or_reason_changed(history: History, told: list[Entry]) -> None:
    history.report(report(1.0, 4, 4, Reason.STEADY_LOAD, message="80 ready"))
    history.report(report(2.0, 4, 4, Reason.STEADY_LOAD, message="79 ready"))
    history.report(report(3.0, 4, 4, Reason.WITHIN_TOLERANCE))

    assert [(entry.reason, entry.message) for entry in told if isinstance(entry, Decided)] == [
        (Reason.STEADY_LOAD, "80 ready"),
        (Reason.WITHIN_TOLERANCE, ""),
    ]


def test_tells_of_each_of_two_equal_changes_in_a_row(history: History) -> None:
    for at in (1.0, 2.0):  # the fleet was set back by somebody in between
        history.report(report(at, 0, 4, Reason.ACTIVATED, applied=True))

    assert [(entry.before, entry.after) for entry in history.applied(POOL.key)] == [(0, 4), (0, 4)]


def test_tells_once_that_orders_cannot_be_written_and_once_that_they_can(history: History, told: list[Entry]) -> None:
    refused = QueueUnavailable("redis:6379/0", "it is a replica", cannot_be="written to")
    for happening in (Report(POOL, 1.0, seen(), unordered=refused),) * 2 + (Report(POOL, 2.0, seen()),):
        history.report(happening)

    assert told == [
        Happened(99.0, POOL.key, "Redis redis:6379/0 cannot be written to: it is a replica"),
        Happened(99.0, POOL.key, "orders can be written again"),
    ]


def test_tells_once_that_redis_went_and_once_that_it_came_back(history: History, told: list[Entry]) -> None:
    silent = Report(POOL, 1.0, None, QueueUnavailable("redis:6379/0", "no answer within 2 s"))
    for happening in (silent, silent, Report(POOL, 2.0, seen())):
        history.report(happening)

    assert told == [
        Happened(99.0, POOL.key, "Redis redis:6379/0 cannot be read: no answer within 2 s"),
        Happened(99.0, POOL.key, "Redis answers again"),
    ]


def test_tells_of_a_target_that_fails_for_another_reason(history: History, told: list[Entry]) -> None:
    for why in ("no memory", "no memory", "no such program"):
        history.report(Report(POOL, 1.0, seen(), failure=TargetUnavailable("FailedUpdateScale", why)))

    assert told == [Happened(99.0, POOL.key, "no memory"), Happened(99.0, POOL.key, "no such program")]


def test_forgets_the_reports_of_a_pool_that_is_gone(history: History) -> None:
    history.report(report(1.0, 0, 0, Reason.IDLE))

    history.forget(POOL.key)

    assert history.reports == {}


def test_tells_once_that_more_workers_do_not_help(history: History, told: list[Entry]) -> None:
    known = Estimate(9.8, 0.31, 3.0, 8, 11.0, Basis.COUNTED)
    for estimate in (known, *[replace(known, saturated=Saturated(16.0, 32.0, 12.0, 12.1))] * 2):
        history.report(replace(report(1.0, 4, 4, Reason.STEADY_LOAD), estimate=estimate))

    assert [entry.text for entry in told if isinstance(entry, Happened)] == [
        "more workers do not help: 16 busy threads did 12 jobs/s, 32 did 12.1: what they call has no more to give"
    ]
