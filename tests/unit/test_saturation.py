"""Whether more threads still bring more jobs done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.support.promises import crew

from crewcall_operator.core.counters import Counters
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.core.saturation import UNTRIED, Saturated, Saturation, Stretch


class Overloaded:
    """A pool with more work than it can do; its queues' rates are told for a while at a time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.found = UNTRIED
        self.done: dict[str, float] = {}
        self.busy: dict[str, float] = {}

    def works(self, seconds: int, threads: int, backlog: int = 1000, **rates: float) -> Saturation:
        """For so many seconds `threads` do so many jobs a second of each queue, and are spread over them evenly."""
        for _ in range(seconds):
            self.now += 1.0
            for name, rate in rates.items():
                self.done[name] = self.done.get(name, 0.0) + rate
                self.busy[name] = self.busy.get(name, 0.0) + threads / len(rates)
            self.found = self.found.seeing(self._look(threads, backlog), self._totals(), self.now)
        return self.found

    def _look(self, threads: int, backlog: int) -> Observation:
        queue = QueueState("sms", ready=backlog, in_flight=threads)
        return Observation((queue,), crew=crew(threads // 4, busy=threads))

    def _totals(self) -> Mapping[str, Counters]:
        return {name: Counters(0, int(self.done[name]), self.busy[name]) for name in self.done}


def test_finds_that_twice_the_threads_do_no_more() -> None:
    pool = Overloaded()
    assert pool.works(120, threads=16, sms=16.0).verdict is None

    found = pool.works(120, threads=32, sms=16.5).verdict

    assert found is not None
    assert (found.fewer, found.more) == (16.0, 32.0)
    assert str(found) == "16 busy threads did 16 jobs/s, 32 did 16.5: what they call has no more to give"


@pytest.mark.parametrize("rate", [32.0, 26.0])
def test_accuses_nobody_where_twice_the_threads_do_more(rate: float) -> None:
    pool = Overloaded()
    pool.works(120, threads=16, sms=16.0)

    assert pool.works(300, threads=32, sms=rate).verdict is None


def test_says_nothing_at_once_nor_of_too_few_jobs_nor_of_threads_that_never_were_fewer() -> None:
    quick, rare, ever = Overloaded(), Overloaded(), Overloaded()
    quick.works(120, threads=16, sms=16.0)
    rare.works(120, threads=16, sms=0.1)

    assert quick.works(25, threads=32, sms=16.0).verdict is None
    assert rare.works(120, threads=32, sms=0.1).verdict is None
    assert ever.works(900, threads=32, sms=1.0).verdict is None


def test_takes_a_lack_of_work_for_no_lack_of_throughput() -> None:
    pool = Overloaded()
    pool.works(120, threads=16, sms=16.0)

    assert pool.works(300, threads=32, backlog=0, sms=16.0).verdict is None


def test_longer_jobs_of_another_queue_are_another_mix_and_no_saturation() -> None:
    """First all threads are at short jobs, then twice as many at short and long ones: far fewer jobs are done."""
    pool = Overloaded()
    pool.works(120, threads=16, sms=16.0)

    assert pool.works(300, threads=32, sms=16.0, pdf=2.0).verdict is None


def test_goes_on_saying_so_while_it_lasts_and_forgets_it_a_minute_after_the_backlog() -> None:
    pool = Overloaded()
    pool.works(120, threads=16, sms=16.0)
    pool.works(120, threads=32, sms=16.0)

    assert pool.works(1800, threads=32, sms=16.0).verdict is not None
    assert pool.works(55, threads=32, backlog=0, sms=16.0).verdict is not None
    assert pool.works(10, threads=32, backlog=0, sms=16.0).verdict is None


def test_takes_it_back_once_the_same_threads_do_a_third_more() -> None:
    pool = Overloaded()
    pool.works(120, threads=16, sms=16.0)
    pool.works(120, threads=32, sms=16.0)
    pool.works(900, threads=32, sms=16.0)

    assert pool.works(120, threads=32, sms=24.0).verdict is None


def test_measures_from_a_service_time_after_the_threads_changed_in_stretches_of_at_least_twenty_seconds() -> None:
    """Jobs take 1.6 s: the first stretch begins with the third second, and each other one where the one before ends."""
    pool = Overloaded()

    assert pool.works(60, threads=16, sms=10.0).stretches == (
        Stretch(3.0, 23.0, 16.0, {"sms": Counters(0, 200, 320.0)}),
        Stretch(23.0, 43.0, 16.0, {"sms": Counters(0, 200, 320.0)}),
    )


def test_a_stretch_lasts_for_two_service_times_and_takes_thirty_jobs() -> None:
    """Of 16 threads at jobs of 16 s, and of one thread at jobs of a second."""
    long, rare = Overloaded(), Overloaded()

    assert [it.at - it.since for it in long.works(100, threads=16, sms=1.0).stretches] == [32.0, 32.0]
    assert [it.at - it.since for it in rare.works(80, threads=4, sms=1.0).stretches] == [30.0, 30.0]


def test_a_lack_of_work_breaks_a_stretch_off_and_a_suspicion_with_it() -> None:
    pool = Overloaded()
    pool.works(120, threads=16, sms=16.0)
    pool.works(30, threads=32, sms=16.0)
    assert pool.found.is_suspected

    idle = pool.works(1, threads=32, backlog=0, sms=16.0)

    assert (idle.measuring, idle.is_suspected) == (None, False)
    assert pool.works(30, threads=32, sms=16.0).verdict is None
    assert pool.works(30, threads=32, sms=16.0).verdict is not None


@pytest.mark.parametrize(
    ("backlog", "busy", "is_backlogged"),
    [(20, 20, True), (19, 20, False), (1000, 16, True), (1000, 15, False)],
    ids=["a job for each thread", "one fewer", "four fifths are busy", "fewer are"],
)
def test_there_is_enough_work_while_a_job_waits_for_each_busy_thread_and_four_fifths_are_busy(
    backlog: int, busy: int, is_backlogged: bool
) -> None:
    look = Observation((QueueState("sms", ready=backlog, in_flight=busy),), crew=crew(5, busy=busy))

    found = UNTRIED.seeing(look, {"sms": Counters(0, 10, 20.0)}, 5.0)

    assert (found.backlogged_at == 5.0) is is_backlogged
    assert (found.measuring is not None) is is_backlogged


@pytest.mark.parametrize(("busy", "goes_on"), [(37, True), (38, False), (23, True), (22, False)])
def test_a_stretch_goes_on_while_about_as_many_threads_are_busy(busy: int, goes_on: bool) -> None:
    """A fifth of thirty, and one."""
    totals = {"sms": Counters(0, 10, 20.0)}

    def look(busy: int) -> Observation:
        return Observation((QueueState("sms", ready=1000, in_flight=busy),), crew=crew(busy // 4, busy=busy))

    before = UNTRIED.seeing(look(30), totals, 5.0)

    assert (before.seeing(look(busy), totals, 6.0).measuring == before.measuring) is goes_on


def test_forgets_what_it_found_after_a_minute_without_a_backlog_and_not_before() -> None:
    pool = Overloaded()
    pool.works(120, threads=16, sms=16.0)
    pool.works(120, threads=32, sms=16.0)

    assert pool.works(60, threads=32, backlog=0, sms=16.0).verdict is not None
    assert pool.works(1, threads=32, backlog=0, sms=16.0).verdict is None


LOOK = Observation((QueueState("sms", ready=1000, in_flight=32),), crew=crew(8, busy=32))


def test_where_no_job_has_ended_yet_one_is_taken_to_last_a_second() -> None:
    going = UNTRIED.seeing(LOOK, {"sms": Counters(5, 0, 3.0)}, 99.0).measuring

    assert going is not None
    assert going.since == 100.0


def after(old: Stretch, seconds: float, done: Mapping[str, Counters]) -> Saturation:
    """A stretch from second 100 on, in which so much was done, after one that is remembered."""
    before = {name: Counters(7, 0, 0.0) for name in done}
    begun = replace(UNTRIED, stretches=(old,)).seeing(LOOK, before, 99.0).seeing(LOOK, before, 100.0)
    totals = {name: Counters(7 + it.arrived, it.ended, it.busy) for name, it in done.items()}
    return begun.seeing(LOOK, totals, 100.0 + seconds)


def did(jobs: int, busy: float) -> Counters:
    return Counters(jobs, jobs, busy)


def stretch(threads: float, at: float = 60.0, **done: Counters) -> Stretch:
    return Stretch(at - 20.0, at, threads, done)


SIXTEEN = stretch(16.0, sms=did(320, 320.0))


@pytest.mark.parametrize(
    ("old", "done", "is_suspected"),
    [
        (SIXTEEN, {"sms": did(384, 640.0)}, True),
        (SIXTEEN, {"sms": did(390, 640.0)}, False),
        (SIXTEEN, {"sms": did(480, 960.0)}, True),
        (SIXTEEN, {"sms": did(320, 448.0)}, True),
        (SIXTEEN, {"sms": did(320, 440.0)}, False),
        (stretch(16.0, sms=did(320, 320.0), pdf=did(320, 0.0)), {"sms": did(320, 640.0)}, False),
        (stretch(16.0, sms=did(320, 320.0), pdf=did(400, 0.0)), {"sms": did(320, 640.0)}, False),
        (stretch(16.0, sms=did(320, 320.0), pdf=did(300, 0.0)), {"sms": did(320, 640.0)}, True),
        (SIXTEEN, {"sms": did(320, 640.0), "pdf": did(320, 0.0)}, False),
        (SIXTEEN, {"sms": did(320, 640.0), "pdf": did(400, 0.0)}, False),
        (SIXTEEN, {"sms": did(320, 640.0), "pdf": did(300, 0.0)}, True),
        (stretch(0.02, sms=did(320, 0.4)), {"sms": did(320, 0.8)}, True),
        (stretch(0.0, sms=did(320, 0.0)), {"sms": did(320, 0.8)}, False),
        (SIXTEEN, {"sms": did(320, 0.0), "pdf": did(20, 640.0)}, False),
    ],
    ids=[
        "a fifth more, give or take chance",
        "a little more than that",
        "half as much again by three times as many",
        "as much by two fifths more",
        "by fewer than two fifths more",
        "half of the jobs then are of another queue",
        "more than half of them",
        "less than half of them",
        "half of the jobs now are of another queue",
        "more than half now",
        "less than half now",
        "in less than a second in all",
        "in no time then",
        "in no time now",
    ],
)
def test_suspects_where_more_threads_brought_too_little_at_the_same_mix(
    old: Stretch, done: Mapping[str, Counters], is_suspected: bool
) -> None:
    """A stretch of twenty seconds after one of twenty seconds."""
    found = after(old, 20.0, done)

    assert found.stretches[1].done == done
    assert found.is_suspected is is_suspected


def test_thirty_jobs_in_either_stretch_are_enough_to_suspect() -> None:
    found = after(stretch(1.0, sms=did(30, 20.0)), 40.0, {"sms": did(30, 80.0)})

    assert found.is_suspected


@pytest.mark.parametrize(("at", "kept"), [(-780.0, 1), (-779.0, 2)])
def test_forgets_a_stretch_after_a_quarter_of_an_hour(at: float, kept: int) -> None:
    found = after(stretch(16.0, at, sms=did(320, 320.0)), 20.0, {"sms": did(320, 640.0)})

    assert len(found.stretches) == kept


def test_knows_nothing_without_a_crew_or_counters() -> None:
    assert UNTRIED.seeing(Observation((QueueState("sms", ready=9),)), {"sms": Counters(1, 1, 1.0)}, 1.0) is UNTRIED
    assert UNTRIED.seeing(Observation((), crew=crew(1)), {}, 1.0) is UNTRIED


def test_says_how_much_was_done_with_how_many_threads() -> None:
    assert str(Saturated(12.4, 48.0, 11.81, 12.04)) == (
        "12 busy threads did 11.8 jobs/s, 48 did 12: what they call has no more to give"
    )
