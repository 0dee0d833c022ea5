"""What a server says of when to come again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crewcall_jobs.web.retry_after import seconds_to_wait

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        (" 17 ", 17.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("99999999999999999999", 3600.0),
        ("Mon, 01 Mar 2027 12:00:00 GMT", 3600.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +2300", 0.0),
        ("Mon, 01 Jan 2030 00:00:00 +99999999999", None),
    ],
)
def test_reads_seconds_and_dates_within_an_hour(header: str | None, seconds: float | None) -> None:
    assert seconds_to_wait(header, NOW) == seconds
