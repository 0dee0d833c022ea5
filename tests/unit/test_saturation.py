"""Whether more threads still bring more jobs done."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.support.promises import crew

from crewcall_operator.core.counters import Counters
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.core.saturation import UNTRIED, Saturated, Saturation


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


def test_knows_nothing_without_a_crew_or_counters() -> None:
    assert UNTRIED.seeing(Observation((QueueState("sms", ready=9),)), {"sms": Counters(1, 1, 1.0)}, 1.0) is UNTRIED
    assert UNTRIED.seeing(Observation((), crew=crew(1)), {}, 1.0) is UNTRIED


def test_says_how_much_was_done_with_how_many_threads() -> None:
    assert str(Saturated(12.4, 48.0, 11.81, 12.04)) == (
        "12 busy threads did 11.8 jobs/s, 48 did 12: what they call has no more to give"
    )
