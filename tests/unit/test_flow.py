"""What is estimated from counters: service times, rates, bursts."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tests.support.pools import policy
from tests.support.promises import counted, crew, flowing

from crewcall_operator.core.bursts import NO_BURSTS, REMEMBERED, Bursts
from crewcall_operator.core.counters import Counters
from crewcall_operator.core.flow import (
    ASSUMED_SERVICE,
    HALF_LIFE,
    KEPT_JOBS,
    LEAST_SERVICE,
    MOST_SERVICE,
    NOTHING_KNOWN,
    Flow,
    QueueFlow,
    Rate,
)
from crewcall_operator.core.policy import QueueLatency
from crewcall_operator.core.promise import replicas_for


def sms(flow: Flow) -> QueueFlow:
    return flow.queues["sms"]


def test_finds_the_rate_and_the_service_time_of_a_steady_stream() -> None:
    known = sms(flowing(4.0, 2.5))

    assert known.arrivals == pytest.approx(4.0, rel=0.02)
    assert known.service == pytest.approx(2.5, rel=0.05)


def test_knows_the_rate_without_bias_soon_and_makes_little_of_the_first_seconds() -> None:
    assert sms(flowing(5.0, 1.0, seconds=8)).arrivals == pytest.approx(5.0)
    assert sms(flowing(5.0, 1.0, seconds=1)).arrivals < 1.1


def test_counts_the_time_of_jobs_that_still_run() -> None:
    flow = NOTHING_KNOWN.seeing({"sms": Counters(4, 0, 0.0)}, 0.0).seeing({"sms": Counters(4, 0, 240.0)}, 60.0)

    assert sms(flow).service > 60.0


def test_begins_with_what_was_counted_before_it_looked() -> None:
    """As after a restart of the operator: the counters in Redis know the service time already."""
    flow = NOTHING_KNOWN.seeing({"sms": Counters(1000, 1000, 7000.0)}, 0.0)

    assert sms(flow).busy / sms(flow).ended == pytest.approx(7.0)
    assert NOTHING_KNOWN.seeing({"sms": Counters(0, 0, 0.0)}, 0.0).queues["sms"].busy / 2.0 == ASSUMED_SERVICE


def test_follows_a_burst_within_seconds_and_forgets_it_within_a_minute() -> None:
    flow = flowing(2.0, 1.0)
    for second in range(1, 11):
        flow = flow.seeing({"sms": Counters(2400 + 40 * second, 2400, 2400.0)}, 1200.0 + second)
    in_burst = sms(flow).arrivals
    for second in range(11, 91):
        flow = flow.seeing({"sms": Counters(2800 + 2 * (second - 10), 2400, 2400.0)}, 1200.0 + second)

    assert in_burst > 12.0
    assert sms(flow).arrivals < 5.0


def test_learns_nothing_from_counters_that_somebody_deleted() -> None:
    before = flowing(4.0, 2.0)

    reset = before.seeing({"sms": Counters(3, 2, 4.0)}, 1201.0)
    after = reset.seeing({"sms": Counters(7, 6, 12.0)}, 1202.0)

    assert (sms(reset).service, sms(reset).arrivals) == (sms(before).service, sms(before).arrivals)
    assert sms(after).arrivals == pytest.approx(4.0, rel=0.02)


@pytest.mark.parametrize("fallen", [Counters(3, 2, 4.0), Counters(3, 4800, 4.0), Counters(4800, 2, 4.0)])
def test_counters_of_which_one_fell_change_no_estimate_and_are_what_the_next_look_goes_by(fallen: Counters) -> None:
    known = sms(flowing(4.0, 2.0))

    assert known.seeing(fallen, 1.0) == replace(known, last=fallen)


@pytest.mark.parametrize(
    ("seconds", "ended"), [(HALF_LIFE, 2.0 + 5), (2 * HALF_LIFE, 1.0 + 5), (1000 * HALF_LIFE, KEPT_JOBS + 5)]
)
def test_a_job_counts_half_after_ten_minutes_but_for_the_few_that_never_fade(seconds: float, ended: float) -> None:
    """Four jobs of three seconds each were seen, and five of three more."""
    before = QueueFlow(Counters(4, 4, 12.0), busy=12.0, ended=4.0)

    after = before.seeing(Counters(9, 9, 27.0), seconds)

    assert (after.ended, after.busy) == pytest.approx((ended, 3.0 * ended))


def test_a_long_gap_between_looks_counts_as_long_as_it_was() -> None:
    """As after Redis was away: 240 jobs in a minute are four a second."""
    flow = flowing(4.0, 1.0).seeing({"sms": Counters(4800 + 240, 4800, 4800.0)}, 1260.0)

    assert sms(flow).arrivals == pytest.approx(4.0, rel=0.02)


def test_a_rate_is_events_by_seconds_however_the_looks_fall() -> None:
    often, seldom = Rate(20.0), Rate(20.0)
    for _ in range(100):
        often = often.adding(0.5, 0.1)
    for _ in range(2):
        seldom = seldom.adding(25.0, 5.0)

    assert often.per_second == pytest.approx(seldom.per_second) == pytest.approx(5.0)


def test_a_queue_that_appears_later_is_estimated_from_then_on() -> None:
    flow = flowing(1.0, 1.0, seconds=10)

    later = flow.seeing({"sms": Counters(10, 10, 10.0), "email": Counters(5, 5, 50.0)}, 11.0)

    assert set(later.queues) == {"sms", "email"}
    assert later.queues["email"].arrivals == 0.0


def test_tells_for_how_long_nothing_has_arrived() -> None:
    flow = flowing(1.0, 1.0, seconds=10)

    assert flow.idle == 0.0
    assert flow.seeing({"sms": Counters(10, 10, 10.0)}, 35.0).idle == 25.0


def test_remembers_the_size_of_bursts_as_most_jobs_see_it() -> None:
    bursts = NO_BURSTS
    for now, jobs in [(5.0, 10), (100.0, 300), (101.0, 100), (112.0, 50), (300.0, 10), (320.0, 0)]:
        bursts = bursts.adding(jobs, now)

    assert bursts.size(10.0, share=0.98) == 400  # 400 of the 470 jobs came within the same ten seconds
    assert bursts.size(20.0, share=0.98) == 450
    assert bursts.size(10.0, share=0.02) == 10


def test_a_burst_is_what_comes_to_all_queues_together() -> None:
    def look(jobs: int) -> dict[str, Counters]:
        return {"sms": Counters(2 * jobs, 0, 0.0), "pdf": Counters(jobs, 0, 0.0), "email": Counters(0, 0, 0.0)}

    flow = NOTHING_KNOWN.seeing(look(0), 0.0).seeing(look(5), 1.0)

    assert (flow.bursts.last, flow.idle) == ((0, 15), 0.0)


def test_a_share_of_the_jobs_is_reached_by_as_many_as_that() -> None:
    bursts = Bursts(((1, 10), (5, 30)))

    assert [bursts.size(10.0, share) for share in (0.25, 0.26)] == [10, 30]


def test_forgets_bursts_after_half_an_hour() -> None:
    bursts = NO_BURSTS.adding(400, 5.0).adding(1, 15.0)
    assert bursts.size(10.0, share=0.98) == 400

    for later in (REMEMBERED + 5.0, REMEMBERED + 25.0):
        bursts = bursts.adding(1, later)

    assert bursts.size(10.0, share=0.98) == 1


def test_jobs_that_take_no_time_that_could_be_counted_take_a_millisecond() -> None:
    """Workers count whole milliseconds."""
    flow = flowing(20.0, 0.0, seconds=1800)

    assert sms(flow).service == LEAST_SERVICE
    assert replicas_for(policy(target=QueueLatency(30.0)), 30.0, counted(ready=900, crew=crew(1)), flow) == 1


def test_still_knows_the_service_time_after_months_without_a_job() -> None:
    flow = flowing(4.0, 2.5)
    for hour in range(24 * 60):
        flow = flow.seeing({"sms": Counters(4800, 4800, 12000.0)}, 1200.0 + 3600.0 * (hour + 1))

    assert sms(flow).busy / sms(flow).ended == pytest.approx(2.5, rel=0.01)


def after_quiet(jobs: int) -> QueueFlow:
    """An hour after the last job, so many come within a second."""
    flow = NOTHING_KNOWN
    for second in range(3600):
        flow = flow.seeing({"sms": Counters(10, 10, 30_000.0)}, float(second))
    return sms(flow.seeing({"sms": Counters(10 + jobs, 10, 30_000.0)}, 3600.0))


def test_a_single_arrival_tells_no_rate() -> None:
    first = NOTHING_KNOWN.seeing({"sms": Counters(10, 10, 30_000.0)}, 0.0)

    assert sms(first.seeing({"sms": Counters(11, 10, 30_000.0)}, 1.0)).arrivals == 0.0
    assert after_quiet(1).arrivals == 0.0


def test_two_jobs_in_a_quiet_queue_are_chance_and_five_are_a_burst() -> None:
    assert after_quiet(2).arrivals == pytest.approx(2 / 180.0, rel=0.01)
    assert after_quiet(5).arrivals == pytest.approx(5 / 20.0, rel=0.05)


@pytest.mark.parametrize("busy", [math.inf, math.nan, 1e300])
def test_a_service_time_that_is_out_of_this_world_is_bounded(busy: float) -> None:
    flow = NOTHING_KNOWN.seeing({"sms": Counters(5, 5, busy)}, 0.0)

    assert LEAST_SERVICE <= sms(flow).service <= MOST_SERVICE
    assert replicas_for(policy(target=QueueLatency(30.0)), 30.0, counted(ready=9, crew=crew(1)), flow) is not None


def test_seconds_without_a_job_are_not_kept_and_nothing_is_no_burst() -> None:
    quiet = Bursts().adding(0, 15.0).adding(0, 25.0)

    assert quiet == Bursts((), (2, 0))
    assert quiet.size(30.0, 0.95) == 0
