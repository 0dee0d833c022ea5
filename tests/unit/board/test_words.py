"""Figures as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewcall_worker.board import words


@pytest.mark.parametrize(
    ("ms", "told"),
    [
        (None, "?"),
        (0, "0 ms"),
        (240, "240 ms"),
        (4_100, "4.1 s"),
        (9_960, "10 s"),
        (42_000, "42 s"),
        (59_999, "60 s"),
        (12 * 60_000, "12 min"),
        (312 * 60_000, "5 h 12 min"),
        (120 * 60_000, "2 h"),
        (76 * 3_600_000, "3 d 4 h"),
    ],
)
def test_tells_a_duration_in_the_two_largest_units_at_most(ms: int | None, told: str) -> None:
    assert words.duration(ms) == told


@pytest.mark.parametrize(
    ("at_ms", "told"),
    [
        (None, "?"),
        (99_500, "now"),
        (96_900, "3 s ago"),
        (112_000, "in 10 s"),
        (74_000, "25 s ago"),
        (100_000 - 180_000, "3 min ago"),
    ],
)
def test_tells_when_something_was_or_will_be(at_ms: int | None, told: str) -> None:
    assert words.since(at_ms, 100_000) == told


@pytest.mark.parametrize(
    ("per_second", "told"), [(None, "?"), (0, "0/s"), (0.05, "3.0/min"), (9.81, "9.8/s"), (1234.5, "1,234/s")]
)
def test_tells_a_rate_by_the_second_or_where_it_is_small_by_the_minute(per_second: float | None, told: str) -> None:
    assert words.rate(per_second) == told


def test_counts_in_english_and_does_not_take_what_is_unknown_for_nothing() -> None:
    assert [words.count(None), words.count(0), words.count(1_234_567)] == ["?", "0", "1,234,567"]
    assert [words.plural(1, "job"), words.plural(0, "job"), words.plural(2, "was", "were")] == [
        "1 job",
        "0 jobs",
        "2 were",
    ]


def test_cuts_an_error_to_its_first_line() -> None:
    assert words.short("KeyError: 'x'\nmore") == "KeyError: 'x'"
    assert words.short("a" * 200, 10) == "a" * 9 + "…"
    assert words.short(None) == ""


@given(st.lists(st.none() | st.integers(0, 10**9), max_size=60))
def test_a_sparkline_stays_within_its_box(values: list[int | None]) -> None:
    line = words.sparkline(values)

    known = [value for value in values if value is not None]
    assert (line == "") == (len(known) < 2)
    for point in line.split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= 96
        assert 0 <= y <= 22


def test_a_sparkline_is_told_in_words_to_who_does_not_see_it() -> None:
    assert words.sparkline_words([3, None, 400, 12]) == "ready jobs: 3 at first, 400 at most, 12 at last"
    assert words.sparkline_words([3]) == "no line yet"
