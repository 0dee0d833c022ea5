"""When cron expressions are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crewcall_worker.queues.cron import check, following

BERLIN = ZoneInfo("Europe/Berlin")


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def at(*parts: int, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    return ms(datetime(*parts, tzinfo=zone, fold=fold))  # type: ignore[arg-type,misc]  # year, month, day and on


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("0 8 * * MON-FRI", at(2026, 11, 20, 8, 0), at(2026, 11, 23, 8, 0)),
        ("0 8 * * MON-FRI", at(2026, 11, 23, 7, 59, 59), at(2026, 11, 23, 8, 0)),
        ("*/15 * * * *", at(2026, 11, 23, 8, 0), at(2026, 11, 23, 8, 15)),
        ("0 0 L * *", at(2027, 2, 1, 0, 0), at(2027, 2, 28, 0, 0)),
        ("*/10 * * * * *", at(2026, 11, 23, 8, 0, 1), at(2026, 11, 23, 8, 0, 10)),
        ("30 2 * * *", at(2026, 3, 28, 12, 0), at(2026, 3, 29, 3, 0)),  # left out: when the clock has jumped
        ("30 2 * * *", at(2026, 10, 25, 2, 0), at(2026, 10, 25, 2, 30)),  # twice: the first time
        ("30 2 * * *", at(2026, 10, 25, 2, 30), at(2026, 10, 26, 2, 30)),
        ("30 2 * * *", at(2026, 10, 25, 2, 15, fold=1), at(2026, 10, 26, 2, 30)),
        ("*/30 * * * *", at(2026, 10, 25, 2, 30), at(2026, 10, 25, 2, 0, fold=1)),  # by the time that passes
    ],
)
def test_the_next_time_is_on_the_zones_clocks(expression: str, after: int, due: int) -> None:
    assert following(expression, "Europe/Berlin", after) == due


@pytest.mark.parametrize(
    ("expression", "timezone", "words"),
    [
        ("* * * *", "UTC", r"cron is '\* \* \* \*': Wrong number of fields; expected minute, hour"),
        ("61 * * * *", "UTC", "Bad minute"),
        ("0 0 30 2 *", "UTC", "cron is '0 0 30 2 \\*'"),
        ("0 0 * * *", "Mars/Olympus", "timezone is 'Mars/Olympus'; expected one of the tz database"),
        ("0 0 * * *", "../etc/passwd", "timezone is"),
        ("0 0 * * *", "", "timezone is"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_can(expression: str, timezone: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check(expression, timezone)


@given(
    step=st.sampled_from([5, 15, 20, 30]),
    hours=st.sampled_from(["*", "*/2", "2", "1-3", "23"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    after=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
)
@settings(max_examples=150, deadline=None)
def test_times_only_ever_rise_and_skip_none_that_the_clocks_show(
    step: int, hours: str, zone: str, after: datetime
) -> None:
    """But for the hours in which a clock is changed, where Debian's rules hold."""
    expression = f"*/{step} {hours} * * *"
    moment = after.replace(tzinfo=UTC)
    due = following(expression, zone, ms(moment))
    assert due is not None
    assert due > ms(moment)

    from_here = moment.replace(second=0, microsecond=0)
    shown = {
        "*": range(24),
        "*/2": range(0, 24, 2),
        "2": range(2, 3),
        "1-3": range(1, 4),
        "23": range(23, 24),
    }[hours]
    for minutes in range(1, min(3 * 24 * 60, (due - ms(from_here)) // 60_000)):
        clock = (from_here + timedelta(minutes=minutes)).astimezone(ZoneInfo(zone))
        near = {
            (from_here + timedelta(minutes=minutes + near)).astimezone(ZoneInfo(zone)).utcoffset()
            for near in (-180, 0, 180)
        }
        if len(near) == 1:
            assert not (clock.minute % step == 0 and clock.hour in shown), clock
