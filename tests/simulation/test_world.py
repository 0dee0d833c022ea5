"""What happens to jobs and replicas in the simulator, one rule at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crewcall_operator.simulation.constant import Fixed
from crewcall_operator.simulation.outcome import Outcome
from crewcall_operator.simulation.ports import PLAIN, Look
from crewcall_operator.simulation.setting import Setting, Span
from crewcall_operator.simulation.trace import Trace
from crewcall_operator.simulation.world import simulate

HOUR = 3600.0
PUNCTUAL = Setting(threads=1, prefetch=0, startup=30.0, startup_jitter=0.0)


@dataclass
class Scripted:
    """Wants what `plan` says of a look, and keeps the looks. It begins with `least` replicas."""

    plan: Callable[[Look], int]
    drains: bool = True
    least: int = 0
    interval: float = 1.0
    name: str = "scripted"

    def __post_init__(self) -> None:
        self.looks: list[Look] = []
        self.care = replace(PLAIN, drains=self.drains)

    def wanted(self, look: Look) -> int:
        self.looks.append(look)
        return self.plan(look)


def jobs(*pairs: tuple[float, float]) -> Trace:
    """Jobs as (arrival, service)."""
    return Trace("jobs", tuple(at for at, _ in pairs), tuple(service for _, service in pairs))


def run(trace: Trace, autoscaler: Scripted | Fixed, setting: Setting = PUNCTUAL) -> Outcome:
    return simulate(trace, setting, autoscaler)


def test_a_job_waits_until_the_replica_has_started_that_it_called() -> None:
    outcome = run(jobs((10.5, 5.0)), Scripted(lambda look: 1 if look.ready or look.held else 0))

    assert outcome.waits == [30.5]  # seen half a second later


def test_a_replica_is_paid_from_being_asked_for_to_being_gone() -> None:
    outcome = run(jobs((10.0, 5.0)), Scripted(lambda look: 1 if look.at >= 2.0 else 0))

    assert outcome.replica_seconds == pytest.approx(35.0)  # asked for at 2 s, its only job ends at 32 + 5 s
    assert outcome.waits == [22.0]


def test_a_replica_that_drains_finishes_what_it_runs_and_gives_back_what_it_has_fetched() -> None:
    setting = Setting(threads=1, prefetch=1, startup=30.0, startup_jitter=0.0)
    autoscaler = Scripted(lambda look: 1 if look.at < 5 or look.at >= 200 else 0, least=1)

    outcome = run(jobs((1.0, 100.0), (2.0, 1.0)), autoscaler, setting)

    assert (outcome.waits, outcome.interrupted) == ([0.0, 228.0], 0)
    assert [look.ready for look in autoscaler.looks if look.at in {4.0, 6.0}] == [0, 1]


def test_a_replica_that_drains_is_called_back_at_once_when_load_returns() -> None:
    autoscaler = Scripted(lambda look: 0 if 5 <= look.at < 10 else 1, least=1)

    outcome = run(jobs((1.0, 20.0), (2.0, 1.0)), autoscaler)

    assert outcome.waits == [0.0, 19.0]


def test_a_replica_of_plain_workers_keeps_what_it_fetched_and_is_killed_after_the_grace_period() -> None:
    setting = Setting(threads=1, prefetch=1, startup=30.0, startup_jitter=0.0)
    autoscaler = Scripted(lambda look: 0 if 5 <= look.at < 6 else 1, drains=False, least=1)

    outcome = run(jobs((1.0, 100.0), (2.0, 1.0)), autoscaler, setting)

    # Told to end at 5 s, killed at 35 s; both jobs are back 60 s later, and the new replica is there.
    assert (outcome.waits, outcome.interrupted) == ([0.0, 193.0], 1)


def test_a_replica_of_plain_workers_begins_nothing_once_it_is_told_to_end_and_gives_back_what_it_holds_at_its_end() -> (
    None
):
    setting = Setting(threads=1, prefetch=1, startup=5.0, startup_jitter=0.0)
    autoscaler = Scripted(lambda look: 0 if 5 <= look.at < 50 else 1, drains=False, least=1)

    outcome = run(jobs((0.0, 10.0), (0.0, 60.0)), autoscaler, setting)

    assert (outcome.waits, outcome.interrupted) == ([0.0, 55.0], 0)
    assert {look.at: (look.ready, look.working) for look in autoscaler.looks if look.at in {9.0, 11.0}} == {
        9.0: (0, 1),
        11.0: (1, 0),
    }


def test_a_replica_of_plain_workers_goes_on_fetching_until_what_it_runs_is_done_and_returns_it_to_the_tail() -> None:
    setting = Setting(threads=1, prefetch=2, startup=5.0, startup_jitter=0.0)
    autoscaler = Scripted(lambda look: 0 if 5 <= look.at < 12 else 1, drains=False, least=1)

    outcome = run(jobs((0.0, 20.0), (7.0, 1.0), (8.0, 1.0), (9.0, 1.0)), autoscaler, setting)

    # The second and third one are taken by the replica that ends; the new one is there at 17 s and runs the fourth.
    assert {look.at: look.ready for look in autoscaler.looks if look.at in {8.0, 10.0, 16.0}} == {8: 0, 10: 1, 16: 1}
    assert (outcome.waits, outcome.interrupted) == ([0.0, 13.0, 13.0, 8.0], 0)


def test_what_a_replica_that_ends_gives_back_goes_behind_what_waits() -> None:
    setting = Setting(threads=1, prefetch=1, startup=5.0, startup_jitter=0.0)
    autoscaler = Scripted(lambda look: 0 if 5 <= look.at < 20 else 1, drains=False, least=1)

    outcome = run(jobs((0.0, 10.0), (1.0, 1.0), (2.0, 1.0)), autoscaler, setting)

    assert outcome.waits == [0.0, 25.0, 23.0]


def test_long_jobs_run_to_their_end_however_long_ago_the_last_one_arrived() -> None:
    autoscaler = Scripted(lambda look: 1 if look.ready or look.held else 0)

    outcome = run(jobs((0.0, 4 * HOUR), (1.0, 4 * HOUR)), autoscaler)

    assert outcome.waits == [30.0, 4 * HOUR + 29.0]
    assert outcome.ended_at == outcome.replica_seconds == 8 * HOUR + 30.0


def test_a_job_that_is_cut_off_again_and_again_is_given_up() -> None:
    autoscaler = Scripted(lambda look: look.at % 200 < 100, drains=False)

    outcome = run(jobs((0.0, 2 * HOUR)), autoscaler)

    assert outcome.waits == [30.0]
    assert 3 * HOUR < outcome.ended_at < 3 * HOUR + 60


def test_a_killed_replica_is_replaced_and_its_jobs_run_again() -> None:
    setting = Setting(threads=1, prefetch=0, startup=30.0, startup_jitter=0.0, kills=(10.0,))
    autoscaler = Scripted(lambda look: 1, least=1)

    outcome = run(jobs((1.0, 20.0), (2.0, 1.0)), autoscaler, setting)

    # The second one runs as soon as the replacement is there, at 40 s; the first comes back at 70 s.
    assert (outcome.waits, outcome.interrupted) == ([0.0, 38.0], 0)
    assert autoscaler.looks[20].held == 1


def test_nothing_is_seen_or_fetched_while_redis_is_away_and_what_was_sent_comes_after() -> None:
    setting = Setting(threads=1, prefetch=0, outages=(Span(5.0, 65.0),))
    autoscaler = Scripted(lambda look: 2, least=2)

    outcome = run(jobs((1.0, 10.0), (20.0, 3.0), (100.0, 1.0)), autoscaler, setting)

    assert outcome.waits == [0.0, 0.0, 0.0]  # from when it was ready: 65 s
    assert [look.at for look in autoscaler.looks if look.is_blind] == [float(at) for at in range(5, 65)]


def test_delayed_jobs_stay_where_they_are_until_a_worker_is_there() -> None:
    trace = Trace("delayed", (100.0,), (1.0,), announced=(10.0,))
    autoscaler = Scripted(lambda look: 1 if look.at >= 200 else 0)

    outcome = run(trace, autoscaler)

    seen = {look.at: (look.delayed, look.due, look.ready) for look in autoscaler.looks}
    assert [seen[at] for at in (9.0, 10.0, 99.0, 101.0, 199.0)] == [
        (0, 0, 0),
        (1, 0, 0),
        (1, 0, 0),
        (0, 1, 0),
        (0, 1, 0),
    ]
    assert outcome.waits == [130.0]


def test_delayed_jobs_that_nobody_ever_wakes_up_for_are_given_up() -> None:
    trace = Trace("delayed", (100.0,), (1.0,), announced=(10.0,))

    assert run(trace, Scripted(lambda look: 0)).waits == [math.inf]


def test_more_threads_do_not_help_jobs_whose_downstream_is_full() -> None:
    setting = Setting(threads=4, prefetch=0, downstream=2)
    autoscaler = Scripted(lambda look: 1, least=1)

    outcome = run(jobs(*((0.0, 10.0) for _ in range(4)), (0.5, 10.0)), autoscaler, setting)

    assert outcome.waits == [0.0, 0.0, 0.0, 0.0, 9.5]
    assert autoscaler.looks[-1].busy == 20 + 40 + 19  # those that wait downstream keep a thread busy


def test_counts_the_time_of_jobs_that_still_run() -> None:
    autoscaler = Scripted(lambda look: 1, least=1)

    run(jobs((1.0, 100.0)), autoscaler)

    assert [look.busy for look in autoscaler.looks[1:4]] == [0.0, 1.0, 2.0]


TRACES = st.lists(st.tuples(st.floats(0, 300), st.floats(0.1, 60)), min_size=1, max_size=40).map(
    lambda pairs: jobs(*sorted(pairs))
)
SETTINGS = st.builds(
    Setting,
    threads=st.integers(1, 3),
    prefetch=st.integers(0, 3),
    startup=st.floats(1, 60),
    kills=st.lists(st.floats(0, 400), max_size=3).map(tuple),
    outages=st.just(()) | st.just((Span(50.0, 120.0),)),
    downstream=st.none() | st.integers(1, 4),
    seed=st.integers(0, 5),
)


@settings(max_examples=60, deadline=None)
@given(trace=TRACES, setting=SETTINGS, drains=st.booleans(), sizes=st.lists(st.integers(0, 5), min_size=1, max_size=9))
def test_every_job_is_run_whatever_happens_to_the_replicas(
    trace: Trace, setting: Setting, drains: bool, sizes: list[int]
) -> None:
    def restless(look: Look) -> int:
        return sizes[int(look.at) // 20 % len(sizes)] if look.at < 1000 else 3

    autoscaler = Scripted(restless, drains=drains)
    outcome = run(trace, autoscaler, setting)

    assert all(0.0 <= wait < math.inf for wait in outcome.waits)
    assert outcome.interrupted == 0 or not drains
    assert all(look.running <= look.working * setting.threads for look in autoscaler.looks)
    assert outcome.waits == run(trace, Scripted(restless, drains=drains), setting).waits
