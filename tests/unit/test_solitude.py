"""A suspect runs alone: nothing beside it, and nobody waits for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest
from tests.support.waiting import DEADLINE, wait_until

from crewcall_worker.solitude import Solitude


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def asks(
    threads: ThreadPoolExecutor, solitude: Solitude, *, alone: bool, may_wait: Callable[[], bool] = lambda: True
) -> Future[bool]:
    """A thread asks to begin a job; come back once it waits or is let in."""
    looked: list[bool] = []

    def look() -> bool:
        looked.append(True)
        return may_wait()

    answer = threads.submit(lambda: solitude.enter(alone=alone, may_wait=look))
    wait_until(lambda: answer.done() or bool(looked), "it to be let in or to wait")
    return answer


def are_let_in(answers: list[Future[bool]], count: int) -> bool:
    return sum(answer.done() for answer in answers) == count


def test_jobs_run_side_by_side(threads: ThreadPoolExecutor) -> None:
    solitude = Solitude()

    assert [asks(threads, solitude, alone=False).done() for _ in range(3)] == [True] * 3


def test_a_suspect_waits_until_nothing_runs_and_nothing_begins_before_it_has_ended(
    threads: ThreadPoolExecutor,
) -> None:
    solitude = Solitude()
    asks(threads, solitude, alone=False)
    suspect = asks(threads, solitude, alone=True)
    later = asks(threads, solitude, alone=False)
    assert (suspect.done(), later.done()) == (False, False)

    solitude.leave()
    assert suspect.result(DEADLINE)
    assert not later.done()

    solitude.leave()
    assert later.result(DEADLINE)


def test_suspects_run_one_after_the_other(threads: ThreadPoolExecutor) -> None:
    solitude = Solitude()
    answers = [asks(threads, solitude, alone=True) for _ in range(3)]

    for ended in range(1, 4):
        wait_until(partial(are_let_in, answers, ended), "one more to begin")
        solitude.leave()

    assert asks(threads, solitude, alone=False).done()


def test_who_may_wait_no_longer_is_turned_away_and_holds_up_nobody(threads: ThreadPoolExecutor) -> None:
    solitude = Solitude()
    is_open = True
    asks(threads, solitude, alone=False)
    suspect = asks(threads, solitude, alone=True, may_wait=lambda: is_open)
    behind = asks(threads, solitude, alone=False, may_wait=lambda: True)
    is_open = False

    assert suspect.result(DEADLINE) is False
    assert behind.result(DEADLINE) is True
