"""What is remembered between decisions, and what is forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.pools import memory

from crewcall_operator.core.counters import Counters
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Observation, QueueState


def test_begins_as_if_what_runs_had_just_been_recommended_seen_and_busy() -> None:
    assert Memory.beginning(now=50.0, current=7) == memory(recommended={50.0: 7}, observed_at=50.0, busy_at=50.0)


@pytest.mark.parametrize(("cutoff", "highest", "lowest"), [(9.0, 8, 2), (10.0, 6, 2), (20.0, 6, 6), (30.0, 0, 9)])
def test_counts_what_came_after_the_cutoff_and_not_what_came_at_it(cutoff: float, highest: int, lowest: int) -> None:
    remembered = memory(recommended={10.0: 8, 20.0: 2, 30.0: 6})

    assert remembered.highest_since(cutoff, at_least=0) == highest
    assert remembered.lowest_since(cutoff, at_most=9) == lowest


def test_puts_what_is_wanted_now_beside_what_was_wanted() -> None:
    remembered = memory(recommended={10.0: 8, 20.0: 2})

    assert remembered.highest_since(0.0, at_least=9) == 9
    assert remembered.lowest_since(0.0, at_most=1) == 1


@pytest.mark.parametrize(("cutoff", "added"), [(9.0, 3), (10.0, -2), (20.0, 4), (30.0, 0)])
def test_adds_up_the_changes_after_the_cutoff(cutoff: float, added: int) -> None:
    assert memory(changed={10.0: +5, 20.0: -6, 30.0: +4}).added_since(cutoff) == added


def test_keeps_a_run_of_equal_recommendations_as_one() -> None:
    remembered = memory()
    for now, replicas in [(10.0, 3), (20.0, 3), (30.0, 3), (40.0, 5), (50.0, 3)]:
        remembered = remembered.recommending(replicas, now, window=3600.0)

    assert remembered == memory(recommended={30.0: 3, 40.0: 5, 50.0: 3})


def test_forgets_recommendations_that_no_window_reaches() -> None:
    remembered = memory(recommended={10.0: 3, 40.0: 5, 41.0: 6})

    assert remembered.recommending(7, now=100.0, window=60.0) == memory(recommended={41.0: 6, 100.0: 7})
    assert remembered.recommending(7, now=100.0, window=0.0) == memory(recommended={100.0: 7})


def test_forgets_changes_that_no_period_reaches() -> None:
    remembered = memory(changed={10.0: +3, 11.0: -1})

    assert remembered.changing(+2, now=1810.0) == memory(changed={11.0: -1, 1810.0: +2})


def test_remembers_when_redis_answered_and_when_there_was_work() -> None:
    remembered = memory(observed_at=10.0, busy_at=10.0)

    assert remembered.observing(0, now=20.0) == memory(observed_at=20.0, busy_at=10.0)
    assert remembered.observing(1, now=20.0) == memory(observed_at=20.0, busy_at=20.0)


@given(
    ticks=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=40),
    window=st.integers(0, 120),
    later=st.integers(0, 120),
)
def test_loses_nothing_of_a_window_by_keeping_runs_as_one(
    ticks: list[tuple[int, int]], window: int, later: int
) -> None:
    now, all_of_them, remembered = 0.0, [], memory()
    for passed, replicas in ticks:
        now += passed
        all_of_them.append((now, replicas))
        remembered = remembered.recommending(replicas, now, window)
    cutoff = now + later - window

    inside = [replicas for at, replicas in all_of_them if at > cutoff]
    assert remembered.highest_since(cutoff, at_least=0) == max(inside, default=0)
    assert remembered.lowest_since(cutoff, at_most=9) == min(inside, default=9)


def test_a_rest_is_remembered_as_a_look_at_its_end_that_saw_nothing_happen() -> None:
    idle = Observation((QueueState("sms", counters=Counters(arrived=5, ended=5, busy=2.0)),))
    before = Memory.beginning(now=0.0, current=0).working(idle, 0.0)

    looked = before.working(idle, 60.0).recommending(0, 60.0, window=3600.0).observing(0, 60.0)

    assert before.resting(60.0) == replace(looked, saturation=before.saturation)


def test_a_rest_of_a_pool_whose_work_nobody_could_read_begins_no_books() -> None:
    before = Memory.beginning(now=0.0, current=0)

    assert before.resting(60.0).ledger == before.ledger
