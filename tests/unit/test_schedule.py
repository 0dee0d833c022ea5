"""When a schedule is in force, by the clocks of its time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.pools import always

from crewcall_operator.core.schedule import Schedule, in_force

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # its clocks change by half an hour

OFFICE = Schedule("office", "0 8 * * 1-5", "0 18 * * 1-5", 3, BERLIN)
NIGHT = Schedule("night", "0 22 * * *", "30 4 * * *", 2, BERLIN)
WEEKEND = Schedule("weekend", "0 18 * * FRI", "0 6 * * MON", 1, BERLIN)


def unix(text: str, zone: ZoneInfo = BERLIN) -> float:
    """Of a time on the clocks of `zone`, or of a time with an offset."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


@pytest.mark.parametrize(
    ("schedule", "at", "is_in_force"),
    [
        (OFFICE, "2026-11-18T07:59:59", False),
        (OFFICE, "2026-11-18T08:00:00", True),
        (OFFICE, "2026-11-18T17:59:59", True),
        (OFFICE, "2026-11-18T18:00:00", False),
        (OFFICE, "2026-11-21T12:00:00", False),  # a Saturday
        (OFFICE, "2026-07-15T08:00:00", True),  # in summer too, an hour earlier by UTC
        (OFFICE, "2026-07-15T07:59:00", False),
        (NIGHT, "2026-11-18T21:59:00", False),
        (NIGHT, "2026-11-18T23:59:59", True),
        (NIGHT, "2026-11-19T00:00:00", True),
        (NIGHT, "2026-11-19T04:29:59", True),
        (NIGHT, "2026-11-19T04:30:00", False),
        (WEEKEND, "2026-11-20T17:59:00", False),
        (WEEKEND, "2026-11-22T12:00:00", True),
        (WEEKEND, "2026-11-23T06:00:00", False),
    ],
)
def test_is_in_force_from_its_start_until_its_end(schedule: Schedule, at: str, is_in_force: bool) -> None:
    assert schedule.is_in_force(unix(at)) is is_in_force


@pytest.mark.parametrize(
    ("at", "is_in_force"),
    [
        # On 29 March the clocks go from 01:59 (+01) to 03:00 (+02).
        ("2026-03-29T01:59:00+01:00", False),
        ("2026-03-29T03:00:00+02:00", True),
        ("2026-03-29T03:59:00+02:00", True),
        ("2026-03-29T04:00:00+02:00", False),
    ],
)
def test_a_start_that_the_clocks_leave_out_comes_when_they_have_jumped(at: str, is_in_force: bool) -> None:
    schedule = Schedule("early", "30 2 * * *", "0 4 * * *", 1, BERLIN)

    assert schedule.is_in_force(unix(at)) is is_in_force


@pytest.mark.parametrize(
    ("at", "is_in_force"),
    [
        # On 25 October the clocks go from 02:59 (+02) back to 02:00 (+01).
        ("2026-10-25T02:29:00+02:00", False),
        ("2026-10-25T02:30:00+02:00", True),
        ("2026-10-25T02:00:00+01:00", True),
        ("2026-10-25T02:30:00+01:00", True),
        ("2026-10-25T03:59:00+01:00", True),
        ("2026-10-25T04:00:00+01:00", False),
    ],
)
def test_a_start_that_comes_twice_counts_the_first_time(at: str, is_in_force: bool) -> None:
    schedule = Schedule("early", "30 2 * * *", "0 4 * * *", 1, BERLIN)

    assert schedule.is_in_force(unix(at)) is is_in_force


def test_an_end_that_comes_twice_ends_it_the_first_time() -> None:
    schedule = Schedule("late", "0 22 * * *", "30 2 * * *", 1, BERLIN)

    assert schedule.is_in_force(unix("2026-10-25T02:29:00+02:00"))
    assert not schedule.is_in_force(unix("2026-10-25T02:30:00+02:00"))
    assert not schedule.is_in_force(unix("2026-10-25T02:15:00+01:00"))


def test_knows_clocks_that_change_by_half_an_hour() -> None:
    schedule = Schedule("early", "45 1 * * *", "0 3 * * *", 1, LORD_HOWE)

    # On 5 April 2026 at 02:00 (+11) they go back to 01:30 (+10:30).
    assert schedule.is_in_force(unix("2026-04-05T01:45:00+11:00"))
    assert schedule.is_in_force(unix("2026-04-05T01:35:00+10:30"))
    assert not schedule.is_in_force(unix("2026-04-05T03:00:00+10:30"))


def test_the_schedule_that_asks_for_most_counts() -> None:
    assert in_force([always(1, "low"), OFFICE, always(5, "high"), always(5, "equal")], 1000.0) == always(5, "high")


def test_none_is_in_force_where_all_are_over() -> None:
    assert in_force([OFFICE, WEEKEND], unix("2026-11-18T20:00:00")) is None


HOURS = st.lists(st.integers(0, 23), min_size=1, max_size=3, unique=True).map(lambda of: ",".join(map(str, of)))
DAYS = st.sampled_from(["*", "1-5", "0,6", "MON", "3#2"])
CRON = st.builds(lambda minute, hours, days: f"{minute} {hours} * * {days}", st.integers(0, 59), HOURS, DAYS)
ZONES = st.sampled_from(
    [BERLIN, LORD_HOWE, ZoneInfo("UTC"), ZoneInfo("America/New_York"), ZoneInfo("Africa/Casablanca")]
)
MINUTES = st.integers(int(unix("2026-03-01T00:00:00+00:00")) // 60, int(unix("2026-11-30T00:00:00+00:00")) // 60)


@settings(max_examples=30)
@given(start=CRON, end=CRON, zone=ZONES, minute=MINUTES)
def test_is_in_force_exactly_while_its_last_start_is_later_than_its_last_end(
    start: str, end: str, zone: ZoneInfo, minute: int
) -> None:
    """Told by going through every minute of the weeks before, by the rules of Debian's cron."""
    moment = datetime.fromtimestamp(minute * 60, UTC)
    begun, ended = last_by_the_minute(start, zone, moment), last_by_the_minute(end, zone, moment)

    is_within = begun is not None and (ended is None or begun > ended)
    assert Schedule("any", start, end, 1, zone).is_in_force(minute * 60 + 59.9) is is_within


def last_by_the_minute(cron: str, zone: ZoneInfo, moment: datetime) -> datetime | None:
    looked_at = {int(cron.split()[0]) % 30, 0}  # clocks differ, and are changed, by half hours
    for passed in range(36 * 24 * 60):
        at = moment - timedelta(minutes=passed)
        if at.minute % 30 in looked_at and any(matches(cron, local) for local in new_times(at, zone)):
            return at
    return None


def new_times(at: datetime, zone: ZoneInfo) -> list[datetime]:
    """The times that have come in this minute for the first time: none, one, or all that the clocks have left out."""
    now, before = (it.astimezone(zone).replace(tzinfo=None) for it in (at, at - timedelta(minutes=1)))
    if at.astimezone(zone).fold:
        return []
    return [now - timedelta(minutes=back) for back in range(round((now - before) / timedelta(minutes=1)))]


def matches(cron: str, local: datetime) -> bool:
    minute, hours, _, _, days = cron.split()
    weekday = local.isoweekday() % 7
    is_day = {
        "*": True,
        "1-5": 1 <= weekday <= 5,
        "0,6": weekday in (0, 6),
        "MON": weekday == 1,
        "3#2": weekday == 3 and 8 <= local.day <= 14,
    }[days]
    return is_day and local.minute == int(minute) and str(local.hour) in hours.split(",")
