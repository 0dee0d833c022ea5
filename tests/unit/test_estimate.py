"""What a pool is said to have been sized by."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.pools import memory, policy
from tests.support.promises import counted, crew, flowing

from crewcall_operator.core.counters import Counters
from crewcall_operator.core.estimate import Basis, Estimate, estimate
from crewcall_operator.core.ledger import Account, Ledger
from crewcall_operator.core.observation import Observation
from crewcall_operator.core.policy import QueueLatency
from crewcall_operator.core.saturation import UNTRIED, Saturated
from crewcall_operator.core.work import work_of

BY = policy(max=100, target=QueueLatency(30.0))
CREW = crew(3, threads=4, busy=10, startup=7.0)
LOOK = counted(in_flight=10, crew=CREW)
KNOWN = replace(memory(), flow=flowing(5.0, 2.0))


def told_by(observed: Observation = LOOK, uncounted: float = 0.0) -> Basis:
    """Who tells, where so many of a hundred arrivals were counted by nobody."""
    none = Counters(0, 0, 0.0)
    ledger = Ledger(0.0, {"sms": Account(none, 0, none, arrivals=100.0, uncounted=uncounted)})
    found = estimate(BY, observed, replace(KNOWN, ledger=ledger))
    assert found is not None
    return found.basis


def test_tells_what_the_promise_reckons_with() -> None:
    work = work_of(BY, LOOK, CREW, KNOWN.flow)
    verdict = Saturated(4.0, 8.0, 2.0, 2.0)

    found = estimate(BY, LOOK, replace(KNOWN, saturation=replace(UNTRIED, verdict=verdict)))

    assert found == Estimate(work.rate, work.service, work.load, 4, 7.0, Basis.COUNTED, verdict)
    assert found.arrivals == pytest.approx(5.0, rel=0.02)


def test_says_who_tells() -> None:
    plain = replace(LOOK, crew=replace(CREW, counts=False))

    assert told_by(uncounted=10.0) is Basis.COUNTED
    assert told_by(uncounted=11.0) is Basis.BALANCED
    assert told_by(plain, uncounted=11.0) is Basis.QUEUES_ALONE


def test_there_is_none_where_nothing_is_reckoned_or_known() -> None:
    assert estimate(policy(each=10), LOOK, KNOWN) is None
    assert estimate(BY, None, KNOWN) is None
    assert estimate(BY, replace(LOOK, crew=None), KNOWN) is None
    assert estimate(BY, LOOK, memory()) is None


def test_says_it_in_words() -> None:
    told = Estimate(arrivals=5.0, service=0.12345, load=0.6, threads=8, startup=7.25, basis=Basis.COUNTED)

    assert str(told) == "5 jobs/s of 0.123 s, 8 threads a replica, started in 7.2 s"
    assert str(replace(told, threads=1)) == "5 jobs/s of 0.123 s, 1 thread a replica, started in 7.2 s"
