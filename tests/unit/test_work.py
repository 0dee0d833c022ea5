"""What a pool's queues hold and what comes, in threads and seconds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tests.support.pools import policy
from tests.support.promises import crew, flowing

from crewcall_operator.core.flow import Flow
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.core.work import QueueWork, Work, work_of

#: A job takes two threads for ten seconds.
HEAVY = QueueWork(rate=0.5, deviation=0.1, service=10.0, weight=2.0, running=3.0, waiting=5.0)
LIGHT = QueueWork(rate=20.0, deviation=2.0, service=0.1, weight=1.0, running=0.0, waiting=50.0)

#: When half of the heavy jobs that are there now have ended.
HALF = HEAVY.service * math.log(2.0)


def test_of_what_is_there_half_is_still_there_when_half_has_ended_give_or_take_chance() -> None:
    """Of eight jobs four are left, give or take the square root of two; each takes two threads."""
    work = Work((HEAVY,))

    assert work.still_there(HALF) == pytest.approx(8.0)
    assert work.leaving_deviation(HALF) == pytest.approx(2.0 * math.sqrt(2.0))


def test_what_comes_within_a_time_takes_no_more_of_it_than_there_is_and_finds_nothing_there() -> None:
    (coming,) = Work((HEAVY,)).coming(HALF).queues

    assert coming.service == pytest.approx(5.0)
    assert replace(coming, service=10.0) == replace(HEAVY, running=0.0, waiting=0.0)


@pytest.mark.parametrize(
    ("done", "certainly_done", "threads"),
    [
        (0.0, 0.0, 2.0 * 13.0 + 5.0),
        (112.5, 0.0, 2.0 * 10.0 + 2.5),
        (112.5, 180.0, 2.0 * 5.0 + 2.5),
        (112.5, 225.0, 2.0 * 3.0),
        (300.0, 300.0, 0.0),
    ],
    ids=["a thread for each job", "half is done", "few heavy ones are left", "only those that run", "all is done"],
)
def test_threads_for_a_backlog_are_those_that_do_it_in_time_and_no_more_than_its_jobs_take(
    done: float, certainly_done: float, threads: float
) -> None:
    """Ten heavy and 250 light jobs, with those that come in ten seconds: 200 and 25 thread-seconds, to do in five."""
    work = Work((HEAVY, LIGHT))

    assert work.threads_for_backlog(10.0, done, certainly_done, time=5.0) == pytest.approx(threads)


def test_a_backlog_of_less_than_a_thread_second_takes_threads_and_none_takes_none() -> None:
    few = replace(LIGHT, rate=0.0, waiting=5.0)

    assert Work((few,)).threads_for_backlog(10.0, 0.0, 0.0, time=0.1) == pytest.approx(5.0)
    assert Work((replace(few, waiting=0.0),)).threads_for_backlog(10.0, 0.0, 0.0, time=0.1) == 0.0


@pytest.mark.parametrize(
    ("busy", "sms", "pdf"), [(4, (3.0, 15.0), (1.0, 1.0)), (20, (6.0, 12.0), (2.0, 0.0)), (0, (0.0, 18.0), (0.0, 2.0))]
)
def test_running_jobs_are_spread_as_what_was_fetched_and_the_others_wait(
    busy: int, sms: tuple[float, float], pdf: tuple[float, float]
) -> None:
    """Of the paused queue what was fetched is there, but nothing comes."""
    known = flowing(5.0, 2.0, seconds=60).queues["sms"]
    flow = Flow(60.0, {"sms": known, "pdf": known})
    queues = (
        QueueState("sms", ready=10, in_flight=6, due_soon=2),
        QueueState("pdf", ready=50, in_flight=2, due_soon=9, is_paused=True),
    )

    work = work_of(policy(queues={"sms": 1.0, "pdf": 3.0}), Observation(queues), crew(2, busy=busy), flow)

    assert work == Work(
        (
            QueueWork(known.arrivals, known.deviation, known.service, 1.0, *sms),
            QueueWork(0.0, 0.0, known.service, 3.0, *pdf),
        )
    )
