"""Erlang C, against values of published tables and its own limits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.erlang import erlang_c

from crewcall_operator.core.staffing import MOST, threads_for


@pytest.mark.parametrize(("threads", "load"), [(1, 0.5), (2, 1.0), (10, 8.0), (55, 50.0), (80, 20.0)])
def test_gives_the_chance_of_waiting(threads: int, load: float) -> None:
    """By the sums of the textbook, which the recursion avoids because they overflow."""
    waiting = load**threads / math.factorial(threads) * threads / (threads - load)
    free = sum(load**n / math.factorial(n) for n in range(threads))

    assert erlang_c(threads, load) == pytest.approx(waiting / (free + waiting))


def test_everybody_waits_where_the_load_is_as_large_as_the_threads() -> None:
    assert erlang_c(3, 3.0) == 1.0


@given(load=st.floats(0.01, 200), patience=st.floats(0, 50), late=st.floats(0.001, 0.5))
def test_takes_the_fewest_threads_that_keep_the_share_of_late_jobs(load: float, patience: float, late: float) -> None:
    threads = threads_for(load, patience, late)

    def share(n: int) -> float:
        return erlang_c(n, load) * math.exp(-max(0.0, n - load) * patience)

    assert share(threads) <= late * (1 + 1e-9)
    assert threads - 1 <= load or share(threads - 1) > late * (1 - 1e-9)


@pytest.mark.parametrize(("late", "threads"), [(0.51, 1), (0.49, 2)])
def test_of_one_thread_that_is_busy_half_of_the_time_every_other_job_finds_it_so(late: float, threads: int) -> None:
    assert threads_for(0.5, 0.0, late) == threads


def test_no_load_needs_no_thread() -> None:
    assert threads_for(0.0, 30.0, 0.05) == 0


@pytest.mark.parametrize("load", [10_000.0, 40_000.7])
@pytest.mark.parametrize("patience", [0.0, 0.01, 30.0])
def test_many_threads_are_counted_by_the_limit_as_well_as_one_by_one(load: float, patience: float) -> None:
    threads = threads_for(load, patience, 0.05)

    def share(n: int) -> float:
        return erlang_c(n, load) * math.exp(-(n - load) * patience)

    assert share(threads + 3) <= 0.05  # of ten thousand and more
    assert threads - 3 <= load or share(threads - 3) > 0.05


@pytest.mark.parametrize("late", [0.2, 0.3])
def test_the_limit_for_many_threads_is_right_to_a_few_of_ten_thousand_where_many_may_wait(late: float) -> None:
    threads = threads_for(40_000.7, 0.0, late)

    assert erlang_c(threads + 2, 40_000.7) <= late < erlang_c(threads - 2, 40_000.7)


def test_above_a_large_load_no_more_threads_are_taken_than_three_roots_of_it_and_two() -> None:
    assert threads_for(10_000.0, 0.0, 0.0) == 10_302


@pytest.mark.parametrize("load", [1e9, 1e300, math.inf, math.nan])
def test_a_load_beyond_all_pools_takes_as_many_threads_as_can_be_told(load: float) -> None:
    assert threads_for(load, 30.0, 0.05) == MOST
    assert threads_for(1e8, 30.0, 0.05) == 100_000_001
