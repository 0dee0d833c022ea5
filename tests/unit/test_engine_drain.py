"""Fewer replicas in three steps, more of them after the orders are withdrawn, and the dead seen to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.pools import FREE, delayed, policy, pool, seen, unread
from tests.support.stage import FORBIDDEN, SILENT, Stage

from crewcall_operator.core.decision import Reason
from crewcall_operator.core.observation import Observation, Pod, Worker, WorkerState
from crewcall_operator.core.victims import Plan
from crewcall_operator.ports import Recovered

RUNNING, DRAINING, DRAINED = WorkerState


def crew(ready: int, *workers: Worker, orders: str = "") -> Observation:
    return replace(seen(ready), workers=workers, orders=frozenset(orders))


def at_work(pod: str, state: WorkerState = RUNNING, busy: int = 1) -> Worker:
    return Worker(f"of-{pod}", pod, state, busy, 1.0 if busy else None)


def with_pods(stage: Stage, names: str, **words: Any) -> None:
    stage.engine.put(pool("sms", down=FREE, cooldown=0, **words))
    stage.workers.pods["sms"] = [Pod(name, is_ready=True, created=0.0) for name in names]
    stage.workers.replicas["sms"] = len(names)


async def test_orders_first_and_asks_for_fewer_only_once_they_are_drained(stage: Stage) -> None:
    with_pods(stage, "abc")
    stage.redis.answers["sms"] = crew(10, at_work("a"), at_work("b", busy=0), at_work("c", busy=0))

    await stage.tick()
    assert (stage.wire.said, stage.workers.scaled) == ([("b", "drain"), ("c", "drain")], [])
    stage.redis.answers["sms"] = crew(10, at_work("a"), at_work("b", DRAINED, 0), at_work("c", DRAINING), orders="bc")
    await stage.tick(passed=2.0)
    assert (stage.workers.scaled, stage.workers.left) == ([("sms", 2)], [("b",)])
    stage.redis.answers["sms"] = crew(10, at_work("a"), at_work("c", DRAINED, 0), orders="bc")
    await stage.tick(passed=2.0)

    assert (stage.workers.scaled, stage.workers.left) == ([("sms", 2), ("sms", 1)], [("b",), ("c",)])
    assert [(report.applied, report.replicas) for report in stage.board.reports] == [(False, 3), (True, 2), (True, 1)]
    assert stage.wire.said == [("b", "drain"), ("c", "drain"), ("b", "run")]


async def test_withdraws_the_order_when_load_returns_and_no_replica_was_lost(stage: Stage) -> None:
    with_pods(stage, "ab")
    stage.redis.answers["sms"] = crew(10, at_work("a"), at_work("b"))
    await stage.tick()

    stage.redis.answers["sms"] = crew(40, at_work("a"), at_work("b", DRAINED, 0), orders="b")
    stage.wire.said.clear()
    await stage.tick(passed=2.0)

    assert (stage.wire.said, stage.workers.scaled) == ([("b", "run")], [("sms", 4)])


async def test_keeps_every_replica_while_orders_cannot_be_written_and_says_so(stage: Stage) -> None:
    with_pods(stage, "abcd")
    drained = (at_work("b", DRAINED, 0), at_work("c", DRAINING))
    stage.redis.answers["sms"] = crew(10, at_work("a"), *drained, at_work("d"), orders="bc")
    stage.wire.refusing = SILENT

    await stage.tick()

    assert (stage.workers.scaled, stage.workers.left) == ([], [])
    (report,) = stage.board.reports
    assert (report.applied, report.unavailable, report.unordered) == (False, None, SILENT)
    assert report.plan == Plan(4, draining=("c",))
    assert report.hindered[0] == f"orders could not be written: {SILENT}"


async def test_adds_replicas_though_no_order_can_be_withdrawn_and_says_so(stage: Stage) -> None:
    with_pods(stage, "ab")
    stage.redis.answers["sms"] = crew(40, at_work("a"), at_work("b", DRAINED, 0), orders="b")
    stage.wire.refusing = SILENT

    await stage.tick()

    assert stage.workers.scaled == [("sms", 4)]
    (report,) = stage.board.reports
    assert (report.applied, report.unavailable, report.unordered, report.plan) == (True, None, SILENT, Plan(4))


async def test_gives_the_orders_that_could_not_be_written_with_the_next_look(stage: Stage) -> None:
    with_pods(stage, "ab")
    stage.redis.answers["sms"] = crew(10, at_work("a"), at_work("b", busy=0))
    stage.wire.refusing = SILENT
    await stage.tick()

    stage.wire.refusing = None
    await stage.tick(passed=0.5)

    assert stage.wire.said == [("b", "drain")]
    assert [report.unordered for report in stage.board.reports] == [SILENT, None]


async def test_gives_back_what_the_dead_held_though_the_replicas_cannot_be_changed(stage: Stage) -> None:
    with_pods(stage, "a")
    stage.workers.gone = frozenset("b")
    stage.redis.answers["sms"] = crew(90, at_work("a"), at_work("b"))
    stage.workers.failing["scale", "sms"] = FORBIDDEN

    await stage.tick()

    assert stage.wire.dead == ["of-b"]


async def test_takes_nobody_away_and_lets_everybody_work_while_workers_cannot_be_read(stage: Stage) -> None:
    with_pods(stage, "abc")
    stage.redis.answers["sms"] = unread(crew(10, at_work("a"), at_work("b", DRAINED, 0), orders="b"))

    await stage.tick()

    assert (stage.wire.said, stage.workers.scaled) == ([("b", "run")], [])
    assert [report.hindered for report in stage.board.reports] == [("workers are not known: no permission",)]


async def test_adds_replicas_while_workers_cannot_be_read(stage: Stage) -> None:
    with_pods(stage, "ab")
    stage.redis.answers["sms"] = unread(seen(40))

    await stage.tick()

    assert stage.workers.scaled == [("sms", 4)]


async def test_says_that_workers_cannot_be_read_though_the_replicas_cannot_be_changed_either(stage: Stage) -> None:
    with_pods(stage, "ab")
    stage.redis.answers["sms"] = unread(seen(40))
    stage.workers.failing["scale", "sms"] = FORBIDDEN

    await stage.tick()

    assert [(report.failure, len(report.hindered)) for report in stage.board.reports] == [(FORBIDDEN, 1)]


async def test_counts_an_orders_time_anew_after_redis_was_away(stage: Stage) -> None:
    with_pods(stage, "ab")
    running = crew(10, at_work("a"), at_work("b"), orders="b")
    stage.redis.answers["sms"] = running
    for _ in range(9):
        await stage.tick(passed=4.0)
    assert stage.workers.scaled == [("sms", 1)]  # it never answered

    stage.workers.scaled.clear()
    with_pods(stage, "ab")
    stage.redis.answers["sms"] = SILENT
    await stage.tick(passed=60.0)
    stage.redis.answers["sms"] = running
    for _ in range(7):
        await stage.tick(passed=4.0)

    assert stage.workers.scaled == []


async def test_gives_back_what_the_workers_of_gone_pods_held_and_looks_for_silent_ones(stage: Stage) -> None:
    with_pods(stage, "a")
    stage.workers.gone = frozenset("b")
    stage.redis.answers["sms"] = crew(10, at_work("a"), at_work("b"))
    stage.wire.lapsed = [Recovered("old", 2)]

    for _ in range(4):
        await stage.tick(passed=1.0)

    assert set(stage.wire.dead) == {"of-b"}
    assert stage.wire.swept == 2  # at once, and 3 s later
    assert stage.board.reports[0].recovered == (Recovered("of-b", 1), Recovered("old", 2))


async def test_scales_on_though_dead_workers_jobs_cannot_be_given_back_and_says_so(stage: Stage) -> None:
    with_pods(stage, "a")
    stage.redis.answers["sms"] = crew(30, at_work("a"))
    stage.wire.refusing = SILENT

    await stage.tick()
    await stage.tick(passed=0.5)

    assert stage.workers.scaled == [("sms", 3)]
    assert [report.unavailable for report in stage.board.reports] == [None, None]
    assert [len(report.hindered) for report in stage.board.reports] == [1, 1]


async def test_learns_nothing_of_a_start_that_it_could_not_see(stage: Stage) -> None:
    with_pods(stage, "a")
    stage.workers.pods["sms"] = [Pod("a", is_ready=True, created=1000.0)]
    for look in (seen(1), unread(seen(1)), crew(1, at_work("a"))):
        stage.redis.answers["sms"] = look
        await stage.tick(passed=60.0)

    stage.redis.answers["sms"] = delayed(due_in=31.0)
    await stage.tick()

    assert stage.board.reasons == {"sms": Reason.IDLE}  # by the 30 s that a start is taken for while none was seen


async def test_learns_how_long_a_replica_takes_to_start(stage: Stage) -> None:
    stage.engine.put(replace(pool("sms"), policy=policy(cooldown=0, down=FREE)))
    stage.workers.pods["sms"] = [Pod("a", is_ready=True, created=1000.0)]
    stage.workers.replicas["sms"] = 1
    stage.redis.answers["sms"] = seen(1)
    await stage.tick()
    stage.redis.answers["sms"] = crew(1, at_work("a"))
    await stage.tick(passed=4.0)

    stage.redis.answers["sms"] = replace(seen(0), queues=(replace(seen(0).queues[0], delayed=1, next_due_in=4.1),))
    await stage.tick()
    assert stage.workers.scaled == [("sms", 0)]
    stage.redis.answers["sms"] = replace(seen(0), queues=(replace(seen(0).queues[0], delayed=1, next_due_in=3.9),))
    await stage.tick()

    assert stage.workers.scaled == [("sms", 0), ("sms", 1)]
