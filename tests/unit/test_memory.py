"""What is remembered between decisions, and what is forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.pools import memory
from tests.support.promises import PLAIN

from crewcall_operator.core.bursts import NO_BURSTS
from crewcall_operator.core.counters import Counters
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.core.pin import Pin

IDLE = Observation((QueueState("sms", counters=Counters(arrived=5, ended=5, busy=2.0)),))


def test_begins_as_if_what_runs_had_just_been_recommended_seen_and_busy() -> None:
    assert Memory.beginning(now=50.0, current=7) == memory(recommended={50.0: 7}, observed_at=50.0, busy_at=50.0)


def test_begins_with_how_long_a_replica_is_thought_to_take_to_start() -> None:
    assert Memory.beginning(now=50.0, current=7, startup=12.5).startups.usual == 12.5


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


def test_what_runs_after_a_while_in_which_nobody_looked_was_wanted_and_there_was_work() -> None:
    remembered = memory(recommended={40.0: 9, 50.0: 5}, observed_at=50.0, busy_at=45.0)

    resumed = remembered.resuming(4, now=100.0, window=60.0)

    assert resumed == memory(recommended={50.0: 5, 100.0: 4}, observed_at=50.0, busy_at=100.0)


def test_a_silent_redis_is_a_look_at_which_the_pool_may_have_been_busy() -> None:
    looked = memory(observed_at=50.0, busy_at=45.0).working(IDLE, 50.0)

    assert looked.losing_sight(now=100.0) == replace(looked, busy_at=100.0, ledger=looked.ledger.silent())


def test_a_silent_redis_makes_no_jobs_of_plain_workers_longer() -> None:
    remembered, last = memory(), 600

    def look(sent: int) -> Observation:
        queue = QueueState("sms", ready=8, in_flight=8, counters=Counters(sent, 0, 0.0))
        return Observation((queue,), crew=PLAIN)

    for second in range(last + 1):
        remembered = remembered.working(look(8 * second), float(second))
    before = remembered.flow.queues["sms"].service
    for second in range(last, last + 1800):
        remembered = remembered.losing_sight(float(second))
    remembered = remembered.working(look(8 * last), last + 1800.0)

    assert before == pytest.approx(1.0, rel=0.1)
    assert remembered.flow.queues["sms"].service == pytest.approx(before, rel=0.2)


def test_what_plain_workers_did_while_nobody_looked_is_in_no_book() -> None:
    looked = memory().working(IDLE, 50.0)

    assert looked.resuming(4, now=100.0, window=60.0).ledger == looked.ledger.silent()


@pytest.mark.parametrize(
    ("recommended", "current", "trusted"),
    [
        ({40.0: 9, 50.0: 5}, 6, {50.0: 5, 100.0: 6}),
        ({40.0: 9, 50.0: 5}, 5, {40.0: 9, 50.0: 5}),
        ({50.0: 5}, 4, {50.0: 5}),
        ({50.0: 0}, 1, {50.0: 0, 100.0: 1}),
        ({}, 0, {}),
    ],
    ids=["more than asked for in the window", "as many", "fewer", "any at all", "nothing"],
)
def test_replicas_that_another_made_more_than_were_asked_for_here_are_trusted(
    recommended: dict[float, int], current: int, trusted: dict[float, int]
) -> None:
    remembered = memory(recommended=recommended)

    assert remembered.trusting(current, now=100.0, window=60.0) == memory(recommended=trusted)


@pytest.mark.parametrize(
    ("now", "orders"), [(105.0, {"a": 90.0, "c": 105.0}), (105.1, {"a": 105.1, "c": 105.1})], ids=["known", "a gap"]
)
def test_an_order_stands_since_it_was_first_seen_unless_nobody_could_hear_of_it_meanwhile(
    now: float, orders: dict[str, float]
) -> None:
    remembered = replace(memory(observed_at=100.0), orders={"a": 90.0, "b": 95.0})

    assert remembered.standing(["a", "c"], now) == replace(remembered, orders=orders)


def test_an_order_that_is_given_stands_from_then_on_beside_the_others() -> None:
    remembered = replace(memory(), orders={"a": 90.0, "b": 95.0})

    assert remembered.ordering(["b", "c"], now=105.0) == replace(memory(), orders={"a": 90.0, "b": 105.0, "c": 105.0})


@pytest.mark.parametrize(
    ("read", "knows", "pin"),
    [(Pin(6, "ops"), True, Pin(6, "ops")), (None, True, None), (None, False, Pin(2, "me"))],
    ids=["another", "none", "unread"],
)
def test_a_pin_is_as_it_was_last_read(read: Pin | None, knows: bool, pin: Pin | None) -> None:
    remembered = replace(memory(), pin=Pin(2, "me"))

    assert remembered.pinning(Observation((), pin=read, knows_pin=knows)) == replace(memory(), pin=pin)


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


def test_a_look_tells_the_books_what_plain_workers_did_and_the_estimates_what_is_in_the_books() -> None:
    nothing, sent = Counters(0, 0, 0.0), Counters(50, 0, 0.0)
    busy = QueueState("sms", ready=100, in_flight=8, counters=nothing)
    paused = QueueState("pdf", is_paused=True, counters=nothing)
    look = Observation((busy, paused), crew=PLAIN)
    later = replace(look, queues=(busy, replace(paused, ready=50, counters=sent)))

    known = memory().working(look, 0.0).working(later, 1.0)

    assert known.ledger.totals == {"sms": Counters(0, 0, 8.0), "pdf": sent}
    assert (known.flow.at, known.flow.bursts) == (1.0, NO_BURSTS)  # what comes to a paused queue is none
    assert known.saturation.backlogged_at == 1.0
    assert known.working(look, 1.0) is known


def test_a_rest_is_remembered_as_a_look_at_its_end_that_saw_nothing_happen() -> None:
    before = Memory.beginning(now=0.0, current=0).working(IDLE, 0.0)

    looked = before.working(IDLE, 60.0).recommending(0, 60.0, window=3600.0).observing(0, 60.0)

    assert before.resting(60.0) == replace(looked, saturation=before.saturation)


def test_a_rest_of_a_pool_whose_work_nobody_could_read_begins_no_books() -> None:
    before = Memory.beginning(now=0.0, current=0)

    assert before.resting(60.0).ledger == before.ledger
