"""What people wish of a pool by hand, through Redis: a pin, and that a worker drains."""

from __future__ import annotations

from dataclasses import replace

from tests.support.pools import policy, pool, seen
from tests.support.stage import SILENT, Stage
from tests.unit.test_engine_drain import DRAINED, DRAINING, at_work, crew, with_pods

from crewcall_operator.api.conditions import conditions
from crewcall_operator.core.decide import decide
from crewcall_operator.core.decision import Reason
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Pod, Worker, WorkerState
from crewcall_operator.core.pin import Pin
from crewcall_operator.core.policy import Fallback, FallbackPolicy, Mode, Policy, pinned

ADAS = Pin(4, "ada")


def asked(pod: str, state: WorkerState = DRAINING, busy: int = 1) -> Worker:
    return replace(at_work(pod, state, busy), is_asked=True)


async def test_a_pin_by_hand_holds_the_pool_and_says_whose_it_is(stage: Stage) -> None:
    stage.engine.put(pool("sms"))
    stage.redis.answers["sms"] = replace(seen(), pin=ADAS)

    await stage.tick()

    (report,) = stage.board.reports
    assert (stage.workers.scaled, report.pin) == ([("sms", 4)], ADAS)
    assert report.decision is not None
    assert (report.decision.reason, report.decision.message) == (
        Reason.PINNED,
        "pinned by a pin of ada; remove it to scale by backlog again",
    )
    told = {found.type: found.message for found in conditions(report, ())}
    assert told["ScalingActive"] == "a pin of ada pins the pool to 4"


async def test_it_scales_by_its_backlog_again_once_the_pin_is_removed(stage: Stage) -> None:
    stage.engine.put(pool("sms"))
    stage.redis.answers["sms"] = replace(seen(ready=60), pin=ADAS)
    await stage.tick()

    stage.redis.answers["sms"] = seen(ready=60)
    await stage.tick(passed=1.0)

    assert stage.workers.scaled == [("sms", 4), ("sms", 6)]


async def test_a_pin_that_cannot_be_read_any_more_is_kept(stage: Stage) -> None:
    fallback = Fallback(after=10.0, policy=FallbackPolicy.REPLICAS, replicas=1)
    stage.engine.put(pool("sms", fallback=fallback))
    stage.redis.answers["sms"] = replace(seen(ready=60), pin=ADAS)
    await stage.tick()

    stage.redis.answers["sms"] = SILENT
    await stage.tick(passed=60.0)
    stage.redis.answers["sms"] = replace(seen(ready=60), knows_pin=False, unread=("the pin is not known",))
    await stage.tick(passed=1.0)

    assert stage.workers.scaled == [("sms", 4)]
    assert stage.board.reasons == {"sms": Reason.PINNED}


def test_a_pin_of_the_spec_goes_before_one_by_hand() -> None:
    assert pinned(policy(pinned=2), ADAS) == policy(pinned=2)


def test_a_pin_by_hand_is_bounded_as_that_of_the_spec_is() -> None:
    assert [held(policy(max=3)), held(policy(min=6)), held(policy())] == [
        (3, Reason.TOO_MANY_REPLICAS),
        (6, Reason.TOO_FEW_REPLICAS),
        (4, Reason.PINNED),
    ]


def held(spec: Policy) -> tuple[int, Reason]:
    decision = decide(pinned(spec, ADAS), seen(ready=100), 1, Memory.beginning(0.0, 1), 0.0)
    return decision.replicas, decision.reason


async def test_a_worker_that_a_hand_asked_to_drain_is_replaced_and_goes_once_it_has_drained(stage: Stage) -> None:
    with_pods(stage, "abc")
    stage.redis.answers["sms"] = crew(30, asked("a"), at_work("b"), at_work("c"))

    await stage.tick()
    assert stage.workers.scaled == [("sms", 4)]
    stage.workers.pods["sms"].append(Pod("d", is_ready=True, created=0.0))
    stage.redis.answers["sms"] = crew(30, asked("a"), at_work("b"), at_work("c"), at_work("d"))
    await stage.tick(passed=2.0)
    stage.redis.answers["sms"] = crew(30, asked("a", DRAINED, 0), at_work("b"), at_work("c"), at_work("d"))
    await stage.tick(passed=2.0)
    stage.redis.answers["sms"] = crew(30, at_work("b"), at_work("c"), at_work("d"))
    await stage.tick(passed=2.0)

    assert (stage.workers.scaled, stage.workers.left) == ([("sms", 4), ("sms", 3)], [(), ("a",)])
    assert stage.wire.said == []
    assert [report.decision and report.decision.replicas for report in stage.board.reports] == [3, 3, 3, 3]


async def test_an_idle_pool_lets_the_worker_go_and_asks_for_no_other(stage: Stage) -> None:
    with_pods(stage, "a")
    stage.redis.answers["sms"] = crew(0, asked("a", DRAINED, 0))
    await stage.tick()

    await stage.tick(passed=2.0)

    assert (stage.workers.scaled, stage.workers.left) == ([("sms", 0)], [("a",)])


async def test_where_replicas_are_only_recommended_nobody_goes_and_nobody_comes(stage: Stage) -> None:
    with_pods(stage, "ab", mode=Mode.RECOMMEND)
    stage.redis.answers["sms"] = crew(20, asked("a", DRAINED, 0), at_work("b"))

    await stage.tick()
    await stage.tick(passed=2.0)

    assert (stage.workers.scaled, stage.wire.said) == ([], [])
    assert [report.replicas for report in stage.board.reports] == [2, 2]
