"""Over any history, Crewcall and the HPA come to the same replicas for the same reason."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.hpa import Hpa
from tests.support.pools import policy, seen

from crewcall_operator.core.decide import decide, remember
from crewcall_operator.core.decision import Reason
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.policy import PolicyType, ScalingPolicy, ScalingRules, SelectPolicy

#: Whole seconds, few of them: samples and events then often lie exactly on the edge of a window.
SECONDS = st.sampled_from([0.0, 15.0, 30.0, 60.0])

PERIODS = st.sampled_from([15.0, 30.0, 60.0])

POLICIES = st.builds(
    ScalingPolicy, type=st.just(PolicyType.PODS), value=st.integers(1, 12), period=PERIODS
) | st.builds(ScalingPolicy, type=st.just(PolicyType.PERCENT), value=st.integers(1, 150), period=PERIODS)

RULES = st.builds(
    ScalingRules,
    stabilization=SECONDS,
    policies=st.lists(POLICIES, max_size=3).map(tuple),
    select=st.sampled_from(SelectPolicy),
    tolerance=st.sampled_from([0.0, 0.1, 0.5]),
)

#: Seconds since the tick before, and the jobs outstanding.
TICKS = st.lists(st.tuples(st.sampled_from([5.0, 15.0, 30.0]), st.integers(0, 80)), min_size=1, max_size=25)

#: Reasons of a decision that nothing held back: the HPA has none for them.
FREE = {
    Reason.ACTIVATED,
    Reason.BACKLOG_DRAIN,
    Reason.BACKLOG_FELL,
    Reason.IDLE,
    Reason.STEADY_LOAD,
    Reason.WITHIN_TOLERANCE,
}


@settings(max_examples=200)
@given(
    up=RULES,
    down=RULES,
    bounds=st.tuples(st.integers(0, 5), st.integers(5, 60)),
    each=st.integers(1, 4),
    ticks=TICKS,
    begin=st.integers(0, 60),
)
def test_agrees_with_the_hpa(
    up: ScalingRules,
    down: ScalingRules,
    bounds: tuple[int, int],
    each: int,
    ticks: list[tuple[float, int]],
    begin: int,
) -> None:
    least, most = bounds
    replicas = min(max(begin, least), most)
    wanted = policy(min=least, max=most, each=each, up=up, down=down, cooldown=0)
    hpa = Hpa(least, most, each, up, down, replicas)
    now = 100.0
    memory = Memory.beginning(now + ticks[0][0], replicas)

    for passed, jobs in ticks:
        now += passed
        decision = decide(wanted, seen(jobs), replicas, memory, now)
        held_back = hpa.reconcile(jobs, now)
        memory = remember(wanted, memory, seen(jobs), decision, now)
        if decision.replicas != replicas:
            memory = memory.changing(decision.replicas - replicas, now)
            replicas = decision.replicas

        assert (replicas, decision.reason if decision.reason not in FREE else None) == (hpa.replicas, held_back)
