"""What the operator logs of a pool: changes, and what keeps it from doing its work, once each."""

from __future__ import annotations

import logging
from dataclasses import replace
from types import FunctionType

import pytest
from tests.support.pools import pool, seen
from tests.support.stage import SILENT

from crewcall_operator.adapters.log import LogReporter, Retries, is_no_leftover
from crewcall_operator.ports import Report

FINE = Report(pool("sms"), 0.0, seen(3))
HINDERED = replace(FINE, hindered=("orders could not be written: no permission", "and more"))
BLIND = replace(FINE, observation=None, unavailable=SILENT)


def test_tells_once_what_keeps_it_from_its_work_and_when_that_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "crewcall")
    log = LogReporter()

    for report in (FINE, HINDERED, HINDERED, BLIND, BLIND, HINDERED, FINE, FINE):
        log.report(report)

    hindered = ("WARNING", "shop/sms: orders could not be written: no permission; and more")
    assert [(record.levelname, record.message) for record in caplog.records] == [
        hindered,
        ("WARNING", f"shop/sms: {SILENT}"),
        hindered,
        ("INFO", "shop/sms: back to normal"),
    ]


def test_tells_once_what_keeps_several_pools_from_their_work(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "crewcall")
    log = LogReporter()
    one, two, three = (pool(name) for name in ("one", "two", "three"))
    rounds = [(one, BLIND), (two, BLIND), (three, BLIND), (one, FINE), (two, HINDERED), (three, FINE), (two, FINE)]

    for each, report in rounds:
        log.report(replace(report, pool=each))

    assert [record.message for record in caplog.records] == [
        f"shop/one: {SILENT}",
        "shop/two: orders could not be written: no permission; and more",
        "shop/one: back to normal, and 1 more that had the same",
        "shop/two: back to normal",
    ]


def test_keeps_nothing_of_a_pool_that_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    log = LogReporter()
    for _ in range(2):
        log.report(BLIND)
        log.forget(BLIND.pool.key)

    assert [record.message for record in caplog.records] == [f"shop/sms: {SILENT}"] * 2


def fail() -> None:
    _ = 1 / 0


@pytest.mark.parametrize(
    ("module", "is_told"),
    [("kopf._cogs.clients.watching", False), ("kopf._cogs.clients.api", False), ("crewcall_operator.engine", True)],
)
def test_leaves_out_what_kopfs_watches_leave_behind_and_nothing_else(module: str, is_told: bool) -> None:
    try:
        FunctionType(fail.__code__, {"__name__": module})()
    except ZeroDivisionError as error:
        failed = (type(error), error, error.__traceback__)

    assert is_no_leftover(logging.makeLogRecord({"msg": "never retrieved", "exc_info": failed})) is is_told
    assert is_no_leftover(logging.makeLogRecord({"msg": "never retrieved"}))


def test_tells_once_a_minute_that_a_watch_is_tried_anew() -> None:
    retries = Retries()
    failed = "Request attempt #1 failed; will retry: GET ..."
    said = [(0.0, failed), (2.0, failed), (59.0, failed), (59.5, "something else"), (61.0, failed), (62.0, failed)]

    told = [at for at, words in said if retries.filter(logging.makeLogRecord({"msg": words, "created": at}))]

    assert told == [0.0, 59.5, 61.0]
