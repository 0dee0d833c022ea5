"""Rates out of counters since ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crewcall_worker.board.reading.queues import Counted, QueueLook
from crewcall_worker.board.reading.rates import FORGOTTEN_AFTER_MS, MOST_SAMPLES, RateBook, Rates


def a_look(at_ms: int, ready: int = 0, queue: str = "sms", **counted: int) -> QueueLook:
    empty = QueueLook(queue, 0, 0, 0, 0, 0, 0, 0, False, at_ms, 0, None, Counted(**counted))
    return replace(empty, ready=ready)


def test_a_rate_is_unknown_until_there_were_two_looks() -> None:
    book = RateBook()

    assert book.note([a_look(0, enqueued=500)]) == {"sms": Rates(ready=(0,))}
    assert book.note([a_look(100, enqueued=501)]) == {"sms": Rates(ready=(0,))}


def test_a_rate_is_what_two_looks_differ_by() -> None:
    book = RateBook()
    book.note([a_look(0, enqueued=500, done=400, failed=1, retried=10, busy_ms=0)])

    found = book.note([a_look(10_000, 7, enqueued=600, done=450, failed=2, retried=29, busy_ms=35_000)])

    assert found == {"sms": Rates(enqueued=10.0, done=5.0, failed=2.0, busy_threads=3.5, ready=(0, 7))}


def test_looks_of_more_than_half_a_minute_ago_do_not_count() -> None:
    book = RateBook()
    for second in range(60):
        book.note([a_look(second * 1_000, done=0 if second < 30 else (second - 30) * 4)])

    rate = book.note([a_look(60_000, done=120)])["sms"].done

    assert rate == 4.0


def test_counters_that_fell_begin_anew() -> None:
    book = RateBook()
    book.note([a_look(0, enqueued=500)])

    assert book.note([a_look(10_000, enqueued=3)])["sms"].enqueued is None


def test_somebody_who_comes_back_after_minutes_is_told_no_rate_of_minutes() -> None:
    book = RateBook()
    book.note([a_look(0, enqueued=0)])

    assert book.note([a_look(300_000, enqueued=600)])["sms"].enqueued is None
    assert book.note([a_look(301_000, enqueued=610)])["sms"].enqueued is not None


def test_the_line_of_a_queue_has_an_end() -> None:
    book = RateBook()
    for at in range(200):
        found = book.note([a_look(at * 5_000, ready=at)])

    assert found["sms"].ready == tuple(range(200 - MOST_SAMPLES, 200))


def test_however_often_somebody_looks_little_is_kept_and_the_rate_is_the_same() -> None:
    book = RateBook()
    for at_ms in range(0, 60_000, 10):
        rates = book.note([a_look(at_ms, done=at_ms // 500)])

    assert rates["sms"].done == pytest.approx(2.0, rel=0.05)
    assert len(book._looks["sms"]) < 40


def test_forgets_a_queue_that_nobody_looks_at() -> None:
    book = RateBook()
    book.note([a_look(0, queue="gone"), a_look(0)])
    book.note([a_look(FORGOTTEN_AFTER_MS + 1)])

    assert book.note([replace(a_look(FORGOTTEN_AFTER_MS + 6_000), queue="gone", ready=4)])["gone"].ready == (4,)
