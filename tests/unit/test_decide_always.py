"""What holds for every policy, whatever is seen and remembered."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.support.pools import memory, policy, seen, unread
from tests.support.promises import counted, flowing

from crewcall_operator.core.counters import Counters, Crew
from crewcall_operator.core.decide import decide, remember
from crewcall_operator.core.decision import Reason
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.core.policy import (
    Fallback,
    FallbackPolicy,
    Mode,
    OnSaturation,
    Policy,
    PolicyType,
    Queue,
    QueueLatency,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
)
from crewcall_operator.core.saturation import Saturated, Saturation

NOW = 1000.0

RECENTLY = st.integers(900, 1000).map(float)

RULES = st.builds(
    ScalingRules,
    stabilization=st.integers(0, 90).map(float),
    policies=st.lists(
        st.builds(ScalingPolicy, type=st.sampled_from(PolicyType), value=st.integers(1, 60), period=st.integers(1, 90)),
        max_size=2,
    ).map(tuple),
    select=st.sampled_from(SelectPolicy),
    tolerance=st.floats(0, 1),
)

POLICIES = st.builds(
    lambda bounds, **words: policy(min=min(bounds), max=max(1, *bounds), **words),
    bounds=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    each=st.floats(0.1, 50),
    up=RULES,
    down=RULES,
    cooldown=st.integers(0, 120),
    fallback=st.builds(
        Fallback, after=st.integers(0, 200), policy=st.sampled_from(FallbackPolicy), replicas=st.integers(0, 40)
    ),
    mode=st.sampled_from(Mode),
    pinned=st.none() | st.integers(0, 40),
)

SCALED = POLICIES.map(lambda by: replace(by, mode=Mode.AUTO, pinned=None))

REMEMBERED = st.builds(
    memory,
    recommended=st.dictionaries(RECENTLY, st.integers(0, 40), max_size=4).map(lambda of: dict(sorted(of.items()))),
    changed=st.dictionaries(RECENTLY, st.integers(-20, 20), max_size=4).map(lambda of: dict(sorted(of.items()))),
    observed_at=RECENTLY,
    busy_at=RECENTLY,
)

REPLICAS = st.integers(0, 40)
JOBS = st.integers(0, 2000)

PROMISING = st.builds(
    lambda by, seconds, does: replace(by, target=QueueLatency(seconds, does)),
    by=SCALED,
    seconds=st.floats(0.5, 600),
    does=st.sampled_from(OnSaturation),
)

#: What is known of work that came evenly until a second ago.
WORKED = st.builds(
    lambda remembered, rate, service: replace(remembered, flow=flowing(rate, service, seconds=30, start=NOW - 31.0)),
    remembered=REMEMBERED,
    rate=st.floats(0, 20),
    service=st.floats(0.01, 60),
)

CREWS = st.builds(
    Crew,
    ready=st.integers(0, 20),
    pending=st.integers(0, 20),
    threads=st.integers(1, 16),
    busy=st.integers(0, 50),
    startup=st.floats(0, 120),
    counts=st.booleans(),
)

SATURATED = Saturation(Saturated(8.0, 16.0, 4.0, 4.1), backlogged_at=NOW)


def promised(ready: int, crew: Crew) -> Observation:
    return counted(ready=ready, in_flight=crew.busy, crew=crew)


@given(by=POLICIES.filter(lambda by: by.pinned is None), current=REPLICAS, remembered=REMEMBERED)
def test_never_moves_a_replica_within_the_bounds_while_blind_unless_a_fallback_is_due(
    by: Policy, current: int, remembered: Memory
) -> None:
    decision = decide(by, None, current, remembered, NOW)
    is_due = by.fallback.policy is FallbackPolicy.REPLICAS and NOW - remembered.observed_at >= by.fallback.after

    kept = by.fallback.replicas if is_due else current

    if by.mode is Mode.PAUSED:
        assert decision.replicas == current
    else:
        assert decision.replicas == min(max(kept, by.min_replicas), by.max_replicas)


@given(by=SCALED, jobs=JOBS, current=REPLICAS, remembered=REMEMBERED)
def test_stays_within_the_bounds(by: Policy, jobs: int, current: int, remembered: Memory) -> None:
    assert by.min_replicas <= decide(by, seen(jobs), current, remembered, NOW).replicas <= by.max_replicas


@given(by=SCALED, current=REPLICAS, remembered=REMEMBERED, jobs=st.integers(1, 2000), ready=st.booleans())
def test_goes_to_zero_only_with_nothing_outstanding(
    by: Policy, current: int, remembered: Memory, jobs: int, ready: bool
) -> None:
    look = seen(ready=jobs) if ready else seen(in_flight=jobs)

    assert decide(by, look, max(1, current), remembered, NOW).replicas > 0


@given(by=POLICIES, jobs=JOBS, current=REPLICAS, remembered=REMEMBERED)
def test_not_knowing_what_the_workers_run_only_ever_keeps_replicas(
    by: Policy, jobs: int, current: int, remembered: Memory
) -> None:
    known = decide(by, seen(jobs), current, remembered, NOW).replicas

    assert decide(by, unread(seen(jobs)), current, remembered, NOW).replicas == max(known, current)


@given(by=SCALED, fewer=JOBS, more=JOBS, current=REPLICAS, remembered=REMEMBERED)
def test_never_wants_fewer_replicas_for_more_work(
    by: Policy, fewer: int, more: int, current: int, remembered: Memory
) -> None:
    less, more = sorted((fewer, more))

    few = decide(by, seen(less), current, remembered, NOW).replicas
    assert few <= decide(by, seen(more), current, remembered, NOW).replicas


@given(by=PROMISING, fewer=JOBS, more=JOBS, current=REPLICAS, remembered=WORKED, crew=CREWS)
def test_never_wants_fewer_replicas_for_more_work_where_a_promise_is_kept(
    by: Policy, fewer: int, more: int, current: int, remembered: Memory, crew: Crew
) -> None:
    less, more = sorted((fewer, more))

    few = decide(by, promised(less, crew), current, remembered, NOW).replicas
    assert few <= decide(by, promised(more, crew), current, remembered, NOW).replicas


@given(
    by=PROMISING, jobs=st.tuples(JOBS, JOBS), more=JOBS, current=REPLICAS, remembered=WORKED, crew=CREWS,
    weights=st.tuples(st.sampled_from([0.1, 1.0, 8.0]), st.sampled_from([0.1, 1.0, 8.0])),
    other=st.tuples(st.floats(0, 20), st.floats(0.01, 60)),
)  # fmt: skip
def test_never_wants_fewer_replicas_for_more_work_in_one_of_two_queues(
    by: Policy, jobs: tuple[int, int], more: int, current: int, remembered: Memory, crew: Crew,
    weights: tuple[float, float], other: tuple[float, float],
) -> None:  # fmt: skip
    """Jobs that were there before anybody looked: those sent since change what is known of the flow as well."""
    by = replace(by, queues=(Queue("sms", weights[0]), Queue("pdf", weights[1])))
    pdf = flowing(*other, seconds=30, start=NOW - 31.0).queues["sms"]
    flow = replace(remembered.flow, queues={**remembered.flow.queues, "pdf": pdf})

    def size(short: int) -> int:
        (sms,) = promised(short, crew).queues
        look = Observation((sms, replace(sms, name="pdf", ready=jobs[1])), crew=crew)
        return decide(by, look, current, replace(remembered, flow=flow), NOW).replicas

    assert size(jobs[0]) <= size(jobs[0] + more)


@given(by=PROMISING, jobs=JOBS, current=REPLICAS, remembered=WORKED, crew=CREWS)
def test_stays_within_the_bounds_where_a_promise_is_kept(
    by: Policy, jobs: int, current: int, remembered: Memory, crew: Crew
) -> None:
    replicas = decide(by, promised(jobs, crew), current, remembered, NOW).replicas

    assert by.min_replicas <= replicas <= by.max_replicas


@given(
    by=PROMISING, current=REPLICAS, remembered=WORKED, crew=CREWS, jobs=st.integers(1, 2000),
    where=st.permutations([0, 0, 0, 1]),
)  # fmt: skip
def test_goes_to_zero_only_with_nothing_to_do_or_due_soon_where_a_promise_is_kept(
    by: Policy, current: int, remembered: Memory, crew: Crew, jobs: int, where: list[int]
) -> None:
    ready, in_flight, due, due_soon = (jobs * share for share in where)
    queue = QueueState("sms", ready, in_flight, due=due, due_soon=due_soon, counters=Counters(0, 0, 0.0))
    look = Observation((queue,), crew=crew)

    assert decide(by, look, max(1, current), remembered, NOW).replicas > 0


@given(by=PROMISING, jobs=JOBS, current=REPLICAS, remembered=WORKED, crew=CREWS)
def test_goes_no_lower_where_more_replicas_bring_nothing_or_find_no_node(
    by: Policy, jobs: int, current: int, remembered: Memory, crew: Crew
) -> None:
    """What keeps a pool from growing is never a reason for it to shrink."""
    free = decide(by, promised(jobs, replace(crew, unschedulable=0)), current, remembered, NOW).replicas
    lost = decide(by, promised(jobs, replace(crew, unschedulable=1)), current, remembered, NOW).replicas
    held = decide(by, promised(jobs, crew), current, replace(remembered, saturation=SATURATED), NOW).replicas

    assert lost <= free
    assert min(lost, held) >= min(free, current, by.max_replicas)


@given(by=SCALED, jobs=JOBS, current=REPLICAS, remembered=REMEMBERED)
def test_goes_beyond_what_the_target_asks_for_only_to_hold_or_for_the_bounds(
    by: Policy, jobs: int, current: int, remembered: Memory
) -> None:
    """A limit only holds back: the replicas are between what there is and what is asked for, or at a bound."""
    decision = decide(by, seen(jobs), current, remembered, NOW)
    asked = decision.steps[0].replicas
    low, high = sorted((current, asked))

    assert low <= decision.replicas <= high or decision.replicas in {by.min_replicas, by.max_replicas}


@given(by=POLICIES, jobs=st.none() | JOBS, current=REPLICAS, remembered=REMEMBERED)
def test_gives_the_reason_of_the_last_step_and_says_it_in_words(
    by: Policy, jobs: int | None, current: int, remembered: Memory
) -> None:
    decision = decide(by, None if jobs is None else seen(jobs), current, remembered, NOW)
    numbers = [step.replicas for step in decision.steps]

    assert (decision.replicas, decision.reason) == (decision.steps[-1].replicas, decision.steps[-1].reason)
    assert all(one != next_one for one, next_one in pairwise(numbers))
    assert decision.message
    assert "{" not in decision.message


@given(by=SCALED, current=st.integers(1, 30), passed=st.integers(0, 120))
def test_never_scales_down_within_a_window_of_a_restart(by: Policy, current: int, passed: int) -> None:
    by = replace(by, min_replicas=0, max_replicas=30)
    decision = decide(by, seen(0), current, Memory.beginning(NOW, current), NOW + passed)

    assert decision.replicas == current or passed >= by.behavior.scale_down.stabilization


@given(by=SCALED, current=st.integers(1, 30), remembered=REMEMBERED, passed=st.integers(0, 120))
def test_never_scales_down_within_a_window_of_a_blind_moment(
    by: Policy, current: int, remembered: Memory, passed: int
) -> None:
    by = replace(by, min_replicas=0, max_replicas=30, fallback=Fallback())
    remembered = remember(by, remembered, None, decide(by, None, current, remembered, NOW), NOW)

    decision = decide(by, seen(0), current, remembered, NOW + passed)

    assert decision.replicas == current or passed >= by.behavior.scale_down.stabilization


@given(by=SCALED, jobs=st.integers(0, 300), current=st.integers(0, 30))
def test_comes_to_rest_under_a_steady_load(by: Policy, jobs: int, current: int) -> None:
    """However it is configured, a pool whose load does not change stops changing, and so does its reason."""
    remembered, now, story = Memory.beginning(0.0, current), 0.0, []
    for _ in range(60):
        now += 60.0
        decision = decide(by, seen(jobs), current, remembered, now)
        remembered = remember(by, remembered, seen(jobs), decision, now)
        if decision.replicas != current:
            remembered = remembered.changing(decision.replicas - current, now)
            current = decision.replicas
        story.append((decision.replicas, decision.reason))

    assert len(set(story[-2:])) == 1
    assert story[-1][1] not in {Reason.ACTIVATED, Reason.COOLDOWN, Reason.REDIS_UNAVAILABLE}
