"""How many jobs came and went, whoever counted them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.promises import PLAIN, crew

from crewcall_operator.core.counters import Counters
from crewcall_operator.core.ledger import HALF_LIFE, NO_ENTRIES, Account, Ledger
from crewcall_operator.core.observation import QueueState

RUNTIME = crew(2, busy=8)


def sms(ready: int = 0, in_flight: int = 0, counted: Counters | None = None) -> QueueState:
    return QueueState("sms", ready=ready, in_flight=in_flight, counters=counted or Counters(0, 0, 0.0))


def total(ledger: Ledger) -> Counters:
    return ledger.totals["sms"]


@dataclass
class Told:
    """Books of one queue that are brought up to date every second."""

    ledger: Ledger = NO_ENTRIES
    second: int = 0

    def look(self, queue: QueueState, by: object = RUNTIME) -> Counters:
        self.ledger = self.ledger.seeing([queue], by, float(self.second))  # type: ignore[arg-type]
        self.second += 1
        return total(self.ledger)


def test_begins_with_what_was_counted_since_ever() -> None:
    assert Told().look(sms(5, 3, Counters(100, 92, 40.0))) == Counters(100, 92, 40.0)


def test_takes_what_is_counted_as_it_is_where_it_balances() -> None:
    told = Told()
    told.look(sms(5, 3, Counters(100, 92, 40.0)))

    assert told.look(sms(6, 4, Counters(104, 94, 47.5))) == Counters(104, 94, 47.5)
    assert not told.ledger.misses_producers


def test_jobs_that_nobody_counted_have_come_where_more_are_held() -> None:
    told = Told()
    told.look(sms(0, 0, Counters(0, 50, 40.0)))

    assert told.look(sms(30, 0, Counters(0, 50, 40.0))).arrived == 30
    assert told.look(sms(20, 8, Counters(0, 56, 46.0))) == Counters(34, 56, 46.0)
    assert told.ledger.misses_producers


def test_a_count_that_comes_a_second_late_is_no_arrival() -> None:
    """Eight jobs are acknowledged each second, and every other second sixteen of them are told of."""
    told = Told()
    for second in range(120):
        done = 8 * (second - second % 2)
        told.look(sms(0, 8, Counters(8 + 8 * second, done, float(done))))

    assert total(told.ledger).arrived == pytest.approx(8 + 8 * 119, rel=0.02)
    assert not told.ledger.misses_producers


def test_jobs_that_somebody_deletes_are_forgotten_within_minutes_and_hide_no_arrivals_after() -> None:
    told = Told()
    told.look(sms(1000))
    for _ in range(600):
        told.look(sms(0))
    before = total(told.ledger).arrived

    assert told.look(sms(50)).arrived - before == pytest.approx(50, abs=3)


def test_ends_that_plain_workers_do_not_count_are_seen_by_what_is_held_less() -> None:
    told = Told()
    told.look(sms(40, 8), PLAIN)

    after = told.look(sms(34, 8), PLAIN)

    assert after == Counters(0, 6, 8.0)  # eight threads were at it for a second


def test_counted_arrivals_tell_exactly_how_many_plain_workers_have_done() -> None:
    told = Told()
    told.look(sms(40, 8, Counters(48, 0, 0.0)), PLAIN)

    assert told.look(sms(40, 8, Counters(60, 0, 0.0)), PLAIN) == Counters(60, 12, 8.0)


def test_what_plain_workers_do_is_spread_over_queues_as_what_they_have_fetched() -> None:
    both = [QueueState(name, in_flight=jobs, counters=Counters(0, 0, 0.0)) for name, jobs in (("sms", 6), ("pdf", 2))]

    ledger = NO_ENTRIES.seeing(both, PLAIN, 0.0).seeing(both, PLAIN, 10.0)

    assert {name: found.busy for name, found in ledger.totals.items()} == {"sms": 60.0, "pdf": 20.0}


@pytest.mark.parametrize(
    ("held", "counted", "known"),
    [
        (8, Counters(0, 0, 0.0), Counters(0, 0, 0.0)),
        (3, Counters(0, 0, 0.0), Counters(0, 0, 0.0)),
        (20, Counters(0, 0, 0.0), Counters(12, 0, 0.0)),
        (8, Counters(500, 0, 0.0), Counters(500, 0, 0.0)),
        (8, Counters(500, 90, 60.0), Counters(500, 90, 60.0)),
    ],
    ids=["nothing", "fewer are held", "more are held", "arrivals were counted", "others counted"],
)
def test_what_plain_workers_did_while_redis_was_silent_nobody_knows(
    held: int, counted: Counters, known: Counters
) -> None:
    """Most likely nothing: they waited for it as well. Had they worked all the time, each job would seem as long."""
    before = NO_ENTRIES.seeing([sms(0, 8)], PLAIN, 0.0)

    after = before.silent().seeing([sms(held - 3, 3, counted)], PLAIN, 1800.0)

    assert total(after) == known
    assert total(after.seeing([sms(0, 8, counted)], PLAIN, 1801.0)).busy == known.busy + 8.0


def test_what_was_counted_while_redis_was_silent_has_happened() -> None:
    looks = [sms(40, 8, Counters(48, 0, 0.0)), sms(0, 8, Counters(600, 592, 540.0))]
    before = NO_ENTRIES.seeing(looks[:1], RUNTIME, 0.0)

    assert before.silent().seeing(looks[1:], RUNTIME, 1800.0) == before.seeing(looks[1:], RUNTIME, 1800.0)


def test_books_that_are_not_begun_are_no_others_after_a_silence() -> None:
    assert NO_ENTRIES.silent() is NO_ENTRIES


def test_deleted_counters_are_no_work_and_the_books_go_on_from_there() -> None:
    told = Told()
    told.look(sms(5, 3, Counters(100, 92, 40.0)))

    assert told.look(sms(5, 3, Counters(0, 0, 0.0))) == Counters(100, 92, 40.0)
    assert told.look(sms(6, 3, Counters(4, 3, 2.0))) == Counters(104, 95, 42.0)


def test_after_deleted_counters_nothing_is_owed_and_what_is_held_is_as_seen() -> None:
    before = Account(Counters(100, 92, 40.0), 8, Counters(130, 122, 55.0), owed=2.5, arrivals=7.0, uncounted=1.0)
    fallen = Counters(0, 0, 0.0)

    assert before.seeing(fallen, 20, 1.0, None) == replace(before, last=fallen, held=20, owed=0.0)


@pytest.mark.parametrize(
    ("held", "total", "uncounted"),
    [(57, Counters(12, 3, 16.0), 0.0), (50, Counters(12, 10, 16.0), 0.0), (60, Counters(15, 3, 16.0), 3.0)],
    ids=["balances", "less is held", "more is held"],
)
def test_of_plain_workers_nothing_is_owed_as_what_does_not_balance_has_ended_or_come(
    held: int, total: Counters, uncounted: float
) -> None:
    """As beside workers that count, while a rollout goes on: 12 more have come, and 3 more ended, than a look ago."""
    counted = Counters(12, 3, 2.0)
    before = Account.beginning(Counters(0, 0, 0.0), 48)

    after = before.seeing(counted, held, seconds=2.0, running=8.0)

    assert after == Account(counted, held, total, 0.0, arrivals=12.0 + uncounted, uncounted=uncounted)


def test_arrivals_count_half_after_ten_minutes_whoever_counted_them() -> None:
    nothing, counted = Counters(0, 0, 0.0), Counters(10, 0, 0.0)
    before = Account(nothing, 0, nothing, arrivals=100.0, uncounted=40.0)

    after = before.seeing(counted, 14, 2 * HALF_LIFE, None)

    assert after == Account(counted, 14, Counters(14, 0, 0.0), 0.0, arrivals=25.0 + 14.0, uncounted=10.0 + 4.0)


def test_threads_that_have_fetched_nothing_were_at_nothing() -> None:
    ledger = NO_ENTRIES.seeing([sms(5)], PLAIN, 0.0).seeing([sms(5)], PLAIN, 10.0)

    assert total(ledger) == Counters(0, 0, 0.0)


def test_learns_nothing_of_a_look_that_brought_no_counters_or_that_it_has_seen() -> None:
    ledger = NO_ENTRIES.seeing([sms(5)], RUNTIME, 1.0)

    assert ledger.seeing([QueueState("sms", ready=9)], RUNTIME, 2.0) is ledger
    assert ledger.seeing([sms(9)], RUNTIME, 1.0) is ledger


LOOKS = st.lists(
    st.tuples(
        st.integers(0, 100), st.integers(0, 100), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500),
        st.booleans(),
    ),
    max_size=20,
)  # fmt: skip


@given(looks=LOOKS)
def test_what_has_happened_never_becomes_less(looks: list[tuple[int, int, int, int, int, bool]]) -> None:
    told, before = Told(), Counters(0, 0, 0.0)
    for number, (ready, in_flight, arrived, ended, busy, is_plain) in enumerate(looks):
        after = told.look(sms(ready, in_flight, Counters(arrived, ended, float(busy))), PLAIN if is_plain else RUNTIME)
        if number:
            assert (after.arrived, after.ended) >= (before.arrived, before.ended)
            assert after.busy >= before.busy
        before = after
