"""How many replicas a promise in seconds takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.pools import memory, policy
from tests.support.promises import counted, crew, flowing

from crewcall_operator.core.counters import Counters, Crew
from crewcall_operator.core.decide import decide
from crewcall_operator.core.flow import NOTHING_KNOWN, Flow
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.model import Decision, Observation, QueueLatency, QueueState, Reason
from crewcall_operator.core.promise import demand, replicas_for

BY = policy(max=100, target=QueueLatency(30.0))


def wanted(look: Observation, flow: Flow, promise: float = 30.0) -> int | None:
    return replicas_for(BY, promise, look, flow)


def test_a_steady_load_takes_a_little_more_than_its_threads() -> None:
    """Ten threads are busy on average, and jobs can wait: three replicas of four threads."""
    assert wanted(counted(in_flight=10, crew=crew(3, busy=10)), flowing(5.0, 2.0)) == 3
    assert wanted(counted(in_flight=10, crew=crew(0)), flowing(5.0, 2.0)) == 3


def test_a_short_promise_takes_more_threads_for_the_same_load() -> None:
    look = counted(in_flight=10, crew=crew(0, busy=10))

    assert (
        demand(BY, 30.0, look, crew(0), flowing(5.0, 2.0)).steady
        < demand(BY, 0.1, look, crew(0), flowing(5.0, 2.0)).steady
    )


def test_what_waits_is_spread_over_the_time_that_is_left_once_replicas_have_started() -> None:
    """400 thread-seconds wait; of the 18 s aimed at, 13 are gone until the replicas are there: 10 s, a third of 30."""
    look = counted(ready=200, crew=crew(0))
    flow = flowing(0.0, 1.0, seconds=0)
    known = flow.queues["sms"].service

    need = demand(BY, 30.0, look, crew(0, startup=0.0), flow)

    assert need.soon == pytest.approx(200 * known / 17.0)
    assert demand(BY, 30.0, look, crew(0, startup=10.0), flow).soon == pytest.approx(200 * known / 6.0)


def test_no_more_threads_than_jobs() -> None:
    assert wanted(counted(ready=3, crew=crew(0)), flowing(0.0, 1.0, seconds=0), promise=1.0) == 1


def test_replicas_that_start_already_are_not_called_again() -> None:
    look = counted(ready=200, crew=crew(0))
    flow = flowing(0.0, 1.0, seconds=0)
    first = wanted(look, flow)
    assert first is not None

    again = wanted(replace(look, crew=crew(0, pending=first)), flow)

    assert again is not None
    assert again <= first


def test_delayed_jobs_that_are_due_soon_count_as_if_they_were_ready() -> None:
    flow = flowing(0.0, 1.0, seconds=0)

    assert wanted(counted(due_soon=100, crew=crew(0)), flow) == wanted(counted(ready=100, crew=crew(0)), flow)
    assert wanted(counted(due_soon=1, crew=crew(0)), flow) == 1


def test_the_replicas_stay_where_the_estimate_cannot_tell_two_sizes_apart() -> None:
    """A load of 7.9 threads needs two replicas, or three if it is a little higher than estimated."""
    flow = flowing(7.6, 1.0)
    look = counted(in_flight=7, crew=crew(2, busy=7))

    assert [wanted(replace(look, crew=crew(ready, busy=7)), flow) for ready in (1, 2, 3, 4)] == [2, 2, 3, 3]


def test_a_burst_that_replicas_start_too_slowly_for_is_prepared_for() -> None:
    flow = NOTHING_KNOWN
    for second in range(600):
        jobs = 500 * (second // 100)  # five hundred at once, every hundred seconds
        flow = flow.seeing({"sms": Counters(jobs, jobs, float(jobs))}, float(second))
    quiet = counted(crew=crew(1))

    slow = wanted(replace(quiet, crew=crew(1, startup=60.0)), flow)
    quick = wanted(replace(quiet, crew=crew(1, startup=5.0)), flow)

    assert slow is not None
    assert quick is not None
    assert slow > quick


def test_a_pool_at_rest_wants_nothing() -> None:
    flow = flowing(0.0, 1.0, seconds=300)

    assert wanted(counted(crew=crew(2)), flow) == 0


def test_jobs_of_a_heavy_queue_take_more_threads() -> None:
    flow = flowing(5.0, 2.0)
    heavy = policy(target=QueueLatency(30.0), queues={"sms": 3.0})
    look = counted(in_flight=10, crew=crew(0, busy=0))

    assert demand(heavy, 30.0, look, crew(0), flow).load == pytest.approx(
        3 * demand(BY, 30.0, look, crew(0), flow).load
    )


def test_without_counters_or_crew_no_size_is_known_and_the_replicas_stay() -> None:
    plain = Observation((QueueState("sms", ready=500),))
    by = policy(target=QueueLatency(30.0))

    held = Decision(4, Reason.TARGET_NOT_AVAILABLE)
    assert decide(by, plain, 4, memory(), now=1.0) == held
    assert decide(by, replace(plain, crew=crew(4)), 4, memory(), now=1.0) == held
    assert decide(by, replace(counted(ready=500, crew=crew(4)), crew=None), 4, memory(), now=1.0) == held


def test_no_more_replicas_are_asked_for_while_some_find_no_node() -> None:
    by = policy(target=QueueLatency(30.0))

    assert decide(by, counted(ready=900, crew=crew(2, pending=2, unschedulable=2)), 4, memory(), now=1.0) == Decision(
        4, Reason.PODS_UNSCHEDULABLE
    )
    assert decide(by, counted(crew=crew(2, pending=2, unschedulable=2)), 4, memory(), now=1.0).replicas < 4


CREWS = st.builds(
    Crew,
    ready=st.integers(0, 20),
    pending=st.integers(0, 20),
    threads=st.integers(1, 16),
    busy=st.integers(0, 50),
    startup=st.floats(0, 120),
)
FLOWS = st.builds(
    lambda rate, service, seconds: flowing(rate, service, seconds=seconds),
    rate=st.floats(0, 20),
    service=st.floats(0.01, 60),
    seconds=st.integers(0, 60),
)
PROMISES = st.floats(0.5, 600)


@given(
    crew=CREWS, flow=FLOWS, promise=PROMISES, ready=st.integers(0, 3000), in_flight=st.integers(0, 300),
    more=st.integers(0, 3000), field=st.sampled_from(["ready", "in_flight", "due_soon"]),
)  # fmt: skip
def test_never_wants_fewer_replicas_for_more_work(
    crew: Crew, flow: Flow, promise: float, ready: int, in_flight: int, more: int, field: str
) -> None:
    less = counted(ready=ready, in_flight=in_flight, crew=crew)
    (queue,) = less.queues
    greater = replace(less, queues=(replace(queue, **{field: getattr(queue, field) + more}),))

    few, many = wanted(less, flow, promise), wanted(greater, flow, promise)

    assert few is not None
    assert many is not None
    assert few <= many


@given(flow=FLOWS, crew=CREWS, jobs=st.tuples(st.integers(0, 500), st.integers(0, 500)), more=st.integers(0, 500))
def test_more_short_jobs_beside_long_ones_never_lower_the_want(
    flow: Flow, crew: Crew, jobs: tuple[int, int], more: int
) -> None:
    both = Flow(
        flow.at, {"sms": flow.queues["sms"], "pdf": flowing(0.5, 30.0, seconds=30).queues["sms"]}, flow.bursts, 0
    )
    by = policy(max=1000, target=QueueLatency(30.0), queues={"sms": 1.0, "pdf": 2.0})

    def size(short: int) -> int:
        none = Counters(0, 0, 0.0)
        queues = (QueueState("sms", ready=short, counters=none), QueueState("pdf", ready=jobs[1], counters=none))
        found = replicas_for(by, 30.0, Observation(queues, crew=crew), both)
        assert found is not None
        return found

    assert size(jobs[0]) <= size(jobs[0] + more)


@given(
    crew=CREWS, flow=FLOWS, promise=PROMISES, ready=st.integers(0, 3000), due_soon=st.integers(0, 50),
    current=st.integers(0, 40), bounds=st.tuples(st.integers(0, 30), st.integers(1, 30)),
)  # fmt: skip
def test_stays_within_the_bounds_and_at_zero_only_with_nothing_to_do(
    crew: Crew, flow: Flow, promise: float, ready: int, due_soon: int, current: int, bounds: tuple[int, int]
) -> None:
    by = policy(min=min(bounds), max=max(bounds), target=QueueLatency(promise))
    look = counted(ready=ready, due_soon=due_soon, crew=crew)
    at = flow.at or 0.0
    remembered = Memory((), observed_at=at, busy_at=at - 1000.0, flow=flow)

    decision = decide(by, look, current, remembered, now=at)

    assert by.min_replicas <= decision.replicas <= by.max_replicas
    assert decision.replicas > 0 or not (ready or due_soon)
