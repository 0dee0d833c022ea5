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
from crewcall_operator.core.decision import Decision, Reason
from crewcall_operator.core.flow import NOTHING_KNOWN, Flow
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.core.policy import QueueLatency
from crewcall_operator.core.promise import Demand, demand, replicas_for

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


def test_replicas_that_start_do_half_of_what_those_that_work_do_until_new_ones_are_there() -> None:
    """Four threads do 52 thread-seconds in the 13 s until then, and so do eight that start by and by."""
    look = counted(ready=200, crew=crew(1))
    flow = flowing(2.0, 1.0)
    known = flow.queues["sms"]

    need = demand(BY, 30.0, look, crew(1, pending=2), flow)

    assert need.soon == pytest.approx((200 * known.service - 52 - 52) / 6.0)
    assert need.later == pytest.approx(((200 + 13 * known.arrivals) * known.service - 52 - 52) / 18.0)
    assert need.backlog == max(need.soon, need.later)


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


def test_a_paused_queue_asks_for_no_replica_whatever_waits_or_comes() -> None:
    flow = flowing(50.0, 1.0)
    look = counted(ready=100, due_soon=100, crew=crew(0))
    paused = replace(look, queues=tuple(replace(queue, is_paused=True) for queue in look.queues))

    assert (wanted(look, flow) or 0) > 5
    assert wanted(paused, replace(flow, bursts=NOTHING_KNOWN.bursts)) == 0


def test_jobs_that_come_to_a_paused_queue_are_no_burst() -> None:
    def after_a_hundred(paused: tuple[str, ...]) -> Flow:
        first = NOTHING_KNOWN.seeing({"sms": Counters(0, 0, 0.0)}, 0.0)
        return first.seeing({"sms": Counters(100, 0, 0.0)}, 1.0, paused)

    assert after_a_hundred(("sms",)).bursts.last == (0, 0)
    assert after_a_hundred(()).bursts.last == (0, 100)


def test_the_replicas_stay_where_the_estimate_cannot_tell_two_sizes_apart() -> None:
    """A load of 7.9 threads needs two replicas, or three if it is a little higher than estimated."""
    flow = flowing(7.6, 1.0)
    look = counted(in_flight=7, crew=crew(2, busy=7))

    assert [wanted(replace(look, crew=crew(ready, busy=7)), flow) for ready in (1, 2, 3, 4)] == [2, 2, 3, 3]
    assert wanted(replace(look, crew=crew(1, pending=2, busy=7)), flow) == 3  # as those that start


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


def test_a_burst_is_as_many_threads_as_do_it_from_when_it_comes_until_new_replicas_are_there() -> None:
    """Five hundred at once came every hundred seconds; replicas are there after 73 s, and jobs may wait for 60."""
    flow = NOTHING_KNOWN
    for second in range(600):
        jobs = 500 * (second // 100)
        flow = flow.seeing({"sms": Counters(jobs, jobs, float(jobs))}, float(second))
    look, slow = counted(crew=crew(1)), crew(1, startup=60.0)

    assert demand(BY, 60.0, look, slow, flow).burst == pytest.approx(500 * flow.queues["sms"].service / 73.0)
    assert demand(BY, 73.0, look, slow, flow).burst == 0.0
    assert demand(BY, 30.0, look, crew(1, startup=5.0), flow).burst == 0.0


@pytest.mark.parametrize(
    ("rate", "idle", "size"), [(20.0, 119.9, 6), (20.0, 120.0, 0), (0.5, 0.0, 0)], ids=["many", "long idle", "one"]
)
def test_with_nothing_outstanding_replicas_are_kept_until_the_cooldown_and_the_last_one_is_its_part(
    rate: float, idle: float, size: int
) -> None:
    flow = replace(flowing(rate, 1.0), idle=idle)

    assert wanted(counted(crew=crew(0)), flow) == size


def test_a_promise_of_less_than_half_a_job_is_told_from_one_of_nothing() -> None:
    look, flow = counted(in_flight=10, crew=crew(0)), flowing(5.0, 2.0)

    assert demand(BY, 0.9, look, crew(0), flow).steady < demand(BY, 0.001, look, crew(0), flow).steady


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


def two(long: int, short: int, *, running: int = 0, crew: Crew) -> Observation:
    """Long jobs wait beside short ones, and so many long ones run."""
    none = Counters(0, 0, 0.0)
    queues = (
        QueueState("pdf", ready=long, in_flight=running, counters=none),
        QueueState("sms", ready=short, counters=none),
    )
    return Observation(queues, crew=replace(crew, busy=running))


def mixed(long: float, short: float, lasting: tuple[float, float]) -> Flow:
    """What is known of both after twenty minutes at these rates."""
    pdf, sms = flowing(long, lasting[0]), flowing(short, lasting[1])
    return Flow(sms.at, {"pdf": pdf.queues["sms"], "sms": sms.queues["sms"]}, sms.bursts, 0.0)


BOTH = policy(max=500, target=QueueLatency(30.0), queues={"pdf": 1.0, "sms": 1.0})


@pytest.mark.parametrize("service", [600.0, 3000.0])
@pytest.mark.parametrize("quiet", [1, 3600])
@pytest.mark.parametrize("threads", [1, 8])
def test_one_long_job_calls_one_replica(service: float, quiet: int, threads: int) -> None:
    """As an operator begins to look, and after an hour without a job."""
    flow = NOTHING_KNOWN
    for second in range(quiet):
        flow = flow.seeing({"sms": Counters(10, 10, 10 * service)}, float(second))
    flow = flow.seeing({"sms": Counters(11, 10, 10 * service)}, float(quiet))

    assert wanted(counted(ready=1, crew=crew(0, threads=threads, startup=30.0)), flow) == 1


@pytest.mark.parametrize("minutes", [0, 10, 45])
def test_a_long_job_that_runs_keeps_its_replica_and_no_other(minutes: int) -> None:
    """It came an hour after the one before; replicas start too slowly to be called in time for another one."""
    flow = NOTHING_KNOWN
    for second in range(3600 + 60 * minutes + 2):
        jobs, busy = (1, 3000.0 + max(0, second - 3601)) if second > 3600 else (0, 3000.0)
        flow = flow.seeing({"sms": Counters(1 + jobs, 1, busy)}, float(second))

    assert wanted(counted(in_flight=1, crew=crew(1, threads=1, busy=1, startup=60.0)), flow) == 1


def test_long_jobs_that_come_often_are_staffed_by_what_is_there_and_what_can_come() -> None:
    """Three a minute of 300 s are 15 threads on average. Of 10 there now few end within 19 s, when about one comes."""
    flow = flowing(0.05, 300.0)

    need = demand(BY, 30.0, counted(in_flight=10, crew=crew(4, busy=10)), crew(4, busy=10, startup=15.0), flow)

    assert need.load == pytest.approx(15.0, rel=0.6)
    assert 12.0 <= need.steady <= 14.0
    assert need.steady_at_most == pytest.approx(16.5, abs=0.5)  # two more may stay, and one more come


def test_long_jobs_are_not_starved_by_short_ones_that_come_beside_them() -> None:
    """84 reports of 10 s wait for 8 threads, whether mails of 20 ms are sent as well or not."""
    flow = mixed(0.05, 0.5, (10.0, 0.02))
    there = crew(1, threads=8, startup=30.0)

    sizes = [replicas_for(BOTH, 30.0, two(84, mails, running=8, crew=there), flow) for mails in (0, 100, 1000)]

    assert sizes == [9, 9, 10]


def test_short_jobs_that_wait_beside_long_ones_do_not_take_a_thread_each() -> None:
    """1,000 jobs of 50 ms are the work of one thread for a minute."""
    flow = mixed(0.5, 0.5, (60.0, 0.05))
    there = crew(20, threads=8, startup=30.0)

    alone, beside = (replicas_for(BOTH, 60.0, two(600, n, running=160, crew=there), flow) for n in (0, 1000))

    assert alone is not None
    assert beside is not None
    assert alone <= beside <= alone + 1


def test_a_backlog_of_heavy_jobs_takes_its_weight_in_threads() -> None:
    flow = flowing(0.0, 10.0, seconds=0)
    look = counted(ready=1000, crew=crew(0, threads=1))

    def size(weight: float) -> float:
        return demand(policy(queues={"sms": weight}, target=QueueLatency(60.0)), 60.0, look, crew(0), flow).backlog

    assert size(8.0) == pytest.approx(8 * size(1.0))
    assert size(100.0) == pytest.approx(100 * size(1.0))


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


QUEUES = st.lists(
    st.tuples(
        st.floats(0, 20), st.floats(0.001, 300), st.sampled_from([0.1, 1.0, 3.0, 8.0]),
        st.integers(0, 500), st.integers(0, 50),
    ),
    min_size=2, max_size=3,
)  # fmt: skip


@given(
    crew=CREWS, of=QUEUES, promise=PROMISES, more=st.integers(0, 1000), field=st.sampled_from(["ready", "due_soon"]),
)  # fmt: skip
def test_more_jobs_in_one_of_several_queues_never_lower_the_want(
    crew: Crew, of: list[tuple[float, float, float, int, int]], promise: float, more: int, field: str
) -> None:
    """Whatever their service times and weights. The flow stays: whether the jobs were sent just now is another fact."""
    flows = {str(at): flowing(rate, service, seconds=30).queues["sms"] for at, (rate, service, *_) in enumerate(of)}
    weights = {str(at): weight for at, (_, _, weight, *_) in enumerate(of)}
    by = policy(max=1000, target=QueueLatency(promise), queues=weights)
    less = [
        QueueState(str(at), ready=ready, in_flight=in_flight, counters=Counters(0, 0, 0.0))
        for at, (*_, ready, in_flight) in enumerate(of)
    ]
    greater = [replace(less[0], **{field: getattr(less[0], field) + more}), *less[1:]]

    few, many = (
        replicas_for(by, promise, Observation(tuple(queues), crew=crew), Flow(30.0, flows, idle=0.0))
        for queues in (less, greater)
    )

    assert few is not None
    assert many is not None
    assert few <= many


@given(crew=CREWS, of=QUEUES, promise=PROMISES, more=st.integers(0, 1000))
def test_jobs_that_were_sent_just_now_to_one_of_several_queues_never_lower_load_or_backlog(
    crew: Crew, of: list[tuple[float, float, float, int, int]], promise: float, more: int
) -> None:
    """They are arrivals as well. `steady` may fall by a thread: who waits does so for shorter jobs to end."""
    names = [str(at) for at in range(len(of))]
    counters = {name: Counters(0, 0, 0.0) for name in names}
    flow = NOTHING_KNOWN
    for second in range(31):
        for name, (rate, service, *_) in zip(names, of, strict=True):
            counters[name] = Counters(int(rate * second), int(rate * second), int(rate * second) * service)
        flow = flow.seeing(counters, float(second))
    by = policy(max=1000, target=QueueLatency(promise), queues={n: of[at][2] for at, n in enumerate(names)})

    def need(sent: int) -> Demand:
        first = counters["0"]
        now = {**counters, "0": replace(first, arrived=first.arrived + sent)}
        look = Observation(
            tuple(
                QueueState(n, ready=of[at][3] + (0 if at else sent), in_flight=of[at][4], counters=now[n])
                for at, n in enumerate(names)
            ),
            crew=crew,
        )
        return demand(by, promise, look, crew, flow.seeing(now, 31.0))

    few, many = need(0), need(more)

    assert few.load <= many.load * (1 + 1e-9)
    assert few.backlog <= many.backlog * (1 + 1e-9)


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
