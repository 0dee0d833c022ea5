from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from crewcall_jobs.demo import Tally, tally


def test_each_job_done_once_is_all_there_is_to_wish_for() -> None:
    assert tally(3, {"0": "1", "1": "1", "2": "1"}) == Tally(jobs=3, done=3, lost=0, duplicated=0)


def test_lost_and_doubled_jobs_do_not_make_up_for_each_other() -> None:
    assert tally(3, {"0": "2", "1": "1"}) == Tally(jobs=3, done=2, lost=1, duplicated=1)


def test_no_trace_at_all_is_all_lost() -> None:
    assert tally(2, {}) == Tally(jobs=2, done=0, lost=2, duplicated=0)


@given(st.integers(min_value=0, max_value=50).flatmap(lambda n: st.tuples(st.just(n), runs_of(n))))
def test_every_job_is_done_or_lost_and_only_done_ones_can_be_doubled(case: tuple[int, list[int]]) -> None:
    jobs, runs = case

    told = tally(jobs, {str(job): str(times) for job, times in Counter(runs).items()})

    assert told.done + told.lost == told.jobs == jobs
    assert told.duplicated <= told.done
    assert told.done == len(set(runs))
    assert (told.duplicated == 0) == (len(runs) == len(set(runs)))


def runs_of(jobs: int) -> st.SearchStrategy[list[int]]:
    """Which job ran, one entry for each time it did."""
    return st.lists(st.integers(min_value=0, max_value=jobs - 1)) if jobs else st.just([])
