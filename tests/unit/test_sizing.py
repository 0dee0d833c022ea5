"""What `backlogPerReplica` alone asks for, before any limit."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.pools import FREE, policy, rules, seen

from crewcall_operator.core.decision import Reason, Step
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.core.policy import QueueLatency
from crewcall_operator.core.sizing import recommend, weighted_backlog

TENTH = rules(tolerance=0.1)


@pytest.mark.parametrize(
    ("jobs", "current", "step"),
    [
        (0, 0, Step(0, Reason.IDLE)),
        (0, 3, Step(0, Reason.IDLE)),
        (1, 0, Step(1, Reason.ACTIVATED)),
        (10, 0, Step(1, Reason.ACTIVATED)),
        (11, 0, Step(2, Reason.ACTIVATED)),
        (11, 1, Step(2, Reason.BACKLOG_DRAIN)),
        (20, 2, Step(2, Reason.STEADY_LOAD)),
        (11, 2, Step(2, Reason.STEADY_LOAD)),
        (10, 2, Step(1, Reason.BACKLOG_FELL)),
    ],
)
def test_asks_for_a_replica_for_every_ten_jobs_begun(jobs: int, current: int, step: Step) -> None:
    assert recommend(policy(each=10, up=FREE, down=FREE), seen(jobs), current) == step


@pytest.mark.parametrize(("ready", "in_flight"), [(40, 0), (0, 40), (13, 27)])
def test_counts_what_workers_fetched_as_well_as_what_waits(ready: int, in_flight: int) -> None:
    assert recommend(policy(each=10), seen(ready, in_flight), current=0) == Step(4, Reason.ACTIVATED)


def test_ignores_delayed_and_dead_letters() -> None:
    observed = Observation((QueueState("sms", delayed=500, dead=70),))

    assert recommend(policy(), observed, current=0) == Step(0, Reason.IDLE)


def test_a_paused_queue_asks_for_nobody_but_those_who_run_its_jobs() -> None:
    resting = QueueState("sms", ready=500, due=30, delayed=31, next_due_in=0.0, is_paused=True)

    assert recommend(policy(each=10), Observation((resting,)), current=0) == Step(0, Reason.IDLE)
    running = Observation((replace(resting, in_flight=11),))
    assert recommend(policy(each=10), running, current=0) == Step(2, Reason.ACTIVATED)
    assert recommend(policy(each=10), Observation((replace(resting, is_paused=False),)), 0).replicas == 53


def test_jobs_held_back_by_their_organisations_limit_ask_for_nobody() -> None:
    observed = Observation((QueueState("sms", ready=500, limited=495, in_flight=5),))

    assert recommend(policy(each=10), observed, current=0) == Step(1, Reason.ACTIVATED)


def test_adds_up_the_queues_by_their_weights() -> None:
    wanted = policy(each=10, queues={"sms": 1.0, "email": 2.0, "digest": 0.5})
    observed = Observation(
        (QueueState("sms", ready=3, in_flight=4), QueueState("email", ready=6), QueueState("digest", in_flight=2))
    )

    assert weighted_backlog(wanted, observed) == 7 * 1.0 + 6 * 2.0 + 2 * 0.5
    assert recommend(wanted, observed, current=0) == Step(2, Reason.ACTIVATED)


def test_does_not_take_the_inexactness_of_weights_for_work() -> None:
    wanted = policy(each=0.1, max=50, queues={"sms": 0.1})

    assert 0.1 * 3 / 0.1 > 3  # what a bare ceil would round up to 4
    assert recommend(wanted, seen(3), current=0) == Step(3, Reason.ACTIVATED)


@given(
    jobs=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10_000), min_size=1),
    tenths=st.lists(st.integers(1, 50), min_size=6, max_size=6),
    each=st.integers(1, 1_000),
)
def test_agrees_with_exact_arithmetic_on_weights_in_tenths(jobs: dict[str, int], tenths: list[int], each: int) -> None:
    weights = dict(zip("abcdef", tenths, strict=True))
    wanted = policy(each=each / 10, queues={name: weights[name] / 10 for name in jobs})
    observed = Observation(tuple(QueueState(name, ready=n) for name, n in jobs.items()))
    exact = sum(Fraction(weights[name] * n, each) for name, n in jobs.items())

    assert recommend(wanted, observed, current=0).replicas == -(-exact // 1)


@pytest.mark.parametrize(("each", "weight"), [(1e12, 1.0), (1.0, 1e-12), (10.0, 0.0)])
def test_asks_for_one_replica_while_anything_at_all_is_outstanding(each: float, weight: float) -> None:
    wanted = policy(each=each, queues={"sms": weight}, up=FREE, down=FREE)

    assert recommend(wanted, seen(in_flight=1), current=0) == Step(1, Reason.ACTIVATED)
    assert recommend(wanted, seen(in_flight=1), current=1) == Step(1, Reason.STEADY_LOAD)
    assert recommend(wanted, seen(in_flight=1), current=3) == Step(1, Reason.BACKLOG_FELL)


@pytest.mark.parametrize(
    ("jobs", "step"),
    [
        (110, Step(10, Reason.WITHIN_TOLERANCE)),  # 110 / (10 x 10) = 1.1, still within
        (111, Step(12, Reason.BACKLOG_DRAIN)),  # 1.11
        (101, Step(10, Reason.WITHIN_TOLERANCE)),
        (100, Step(10, Reason.STEADY_LOAD)),
        (90, Step(10, Reason.WITHIN_TOLERANCE)),  # 0.9, still within
        (89, Step(9, Reason.BACKLOG_FELL)),  # 0.89
    ],
)
def test_stays_where_it_is_within_a_tenth_of_the_target(jobs: int, step: Step) -> None:
    assert recommend(policy(each=10, up=TENTH, down=TENTH), seen(jobs), current=10) == step


def test_tolerates_a_tenth_more_for_a_single_replica_as_well() -> None:
    assert recommend(policy(each=10, up=TENTH, down=TENTH), seen(11), current=1) == Step(1, Reason.WITHIN_TOLERANCE)
    assert recommend(policy(each=10, up=TENTH, down=TENTH), seen(12), current=1) == Step(2, Reason.BACKLOG_DRAIN)


@pytest.mark.parametrize(
    ("jobs", "step"),
    [
        (101, Step(11, Reason.BACKLOG_DRAIN)),
        (50, Step(10, Reason.WITHIN_TOLERANCE)),
        (49, Step(5, Reason.BACKLOG_FELL)),
    ],
)
def test_has_a_tolerance_of_its_own_for_each_direction(jobs: int, step: Step) -> None:
    wanted = policy(each=10, up=rules(tolerance=0.0), down=rules(tolerance=0.5))

    assert recommend(wanted, seen(jobs), current=10) == step


def test_tolerates_exactly_as_much_as_the_hpa_where_division_is_inexact() -> None:
    # 162 / (10 x 18) is 0.9, but 162 / 10 / 18 is 0.8999999999999999
    assert recommend(policy(each=10, up=TENTH, down=TENTH), seen(162), current=18) == Step(18, Reason.WITHIN_TOLERANCE)


def test_has_no_tolerance_at_zero_where_there_is_nothing_to_compare_with() -> None:
    generous = policy(each=10, up=rules(tolerance=1.0), down=rules(tolerance=1.0))

    assert recommend(generous, seen(1), current=0) == Step(1, Reason.ACTIVATED)


def test_tolerates_a_tenth_either_way_unless_told_otherwise() -> None:
    assert recommend(policy(each=10), seen(110), current=10) == Step(10, Reason.WITHIN_TOLERANCE)
    assert recommend(policy(each=10), seen(111), current=10) == Step(12, Reason.BACKLOG_DRAIN)
    assert recommend(policy(each=10), seen(90), current=10) == Step(10, Reason.WITHIN_TOLERANCE)
    assert recommend(policy(each=10), seen(89), current=10) == Step(9, Reason.BACKLOG_FELL)


@given(
    fewer=st.integers(0, 500),
    more=st.integers(0, 500),
    current=st.integers(0, 40),
    each=st.floats(0.1, 30),
    up=st.floats(0, 1),
    down=st.floats(0, 1),
)
def test_never_asks_for_less_when_there_is_more_to_do(
    fewer: int, more: int, current: int, each: float, up: float, down: float
) -> None:
    wanted = policy(each=each, up=rules(tolerance=up), down=rules(tolerance=down))
    less, more = sorted((fewer, more))

    assert recommend(wanted, seen(less), current).replicas <= recommend(wanted, seen(more), current).replicas


def test_leaves_the_replicas_alone_where_sizing_by_latency_is_not_there_yet() -> None:
    assert recommend(policy(target=QueueLatency(30.0)), seen(500), current=4) == Step(4, Reason.TARGET_NOT_AVAILABLE)
