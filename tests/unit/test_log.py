"""What the operator logs of a pool: changes, and what keeps it from doing its work, once each."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from tests.support.pools import pool, seen
from tests.support.stage import SILENT

from crewcall_operator.adapters.log import LogReporter
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
