"""One tick over all pools: who is asked, what is scaled and what is told."""

from __future__ import annotations

import pytest
from tests.support.pools import going_to, pool, seen
from tests.support.stage import FORBIDDEN, SILENT, Board, Stage

from crewcall_operator.core.decision import Decision, Reason
from crewcall_operator.core.observation import Fleet
from crewcall_operator.core.policy import Mode
from crewcall_operator.ports import Report


async def test_scales_a_pool_to_what_its_backlog_asks_for_and_tells_everything(stage: Stage) -> None:
    sms = pool("sms")
    stage.engine.put(sms)
    stage.workers.replicas["sms"] = 1
    stage.redis.answers["sms"] = seen(30, oldest=4.1)

    await stage.tick()

    assert stage.workers.scaled == [("sms", 3)]
    assert stage.board.reports == [
        Report(
            pool=sms,
            at=1000.0,
            observation=seen(30, oldest=4.1),
            unavailable=None,
            fleet=Fleet(current=1, ready=1),
            decision=Decision(3, Reason.BACKLOG_DRAIN),
            applied=True,
            failure=None,
        )
    ]


async def test_tells_every_reporter_the_same_record(stage: Stage) -> None:
    other = Board()
    stage.engine.reporters = (stage.board, other)
    stage.engine.put(pool("sms"))

    await stage.tick()

    assert [id(report) for report in other.reports] == [id(report) for report in stage.board.reports]


async def test_writes_nothing_where_the_number_stays(stage: Stage) -> None:
    stage.engine.put(pool("sms"))
    stage.workers.replicas["sms"] = 3
    stage.redis.answers["sms"] = seen(30)

    await stage.tick()
    await stage.tick()

    assert stage.workers.scaled == []
    assert [report.applied for report in stage.board.reports] == [False, False]


async def test_asks_each_redis_once_for_all_its_pools(stage: Stage) -> None:
    for name, url in [("sms", "redis://a"), ("email", "redis://b"), ("rules", "redis://a")]:
        stage.engine.put(pool(name, redis=url))

    await stage.tick()

    assert stage.redis.asked == [("sms", "rules"), ("email",)]


async def test_has_nothing_to_do_without_pools(stage: Stage) -> None:
    await stage.tick()

    assert (stage.redis.asked, stage.board.reports) == ([], [])


async def test_keeps_the_replicas_and_says_why_when_redis_cannot_be_read(stage: Stage) -> None:
    sms = pool("sms")
    stage.engine.put(sms)
    stage.workers.replicas["sms"] = 4
    stage.redis.answers["sms"] = SILENT

    await stage.tick()

    assert stage.workers.scaled == []
    assert stage.board.reports == [
        Report(
            pool=sms,
            at=1000.0,
            unavailable=SILENT,
            fleet=Fleet(current=4, ready=4),
            decision=Decision(4, Reason.REDIS_UNAVAILABLE),
        )
    ]


async def test_falls_back_when_redis_stays_silent_and_counts_from_its_last_answer(stage: Stage) -> None:
    stage.engine.put(pool("sms", fallback=going_to(2, after=60)))
    stage.workers.replicas["sms"] = 4
    stage.redis.answers["sms"] = seen(40)
    await stage.tick()
    stage.redis.answers["sms"] = SILENT

    await stage.tick(passed=59.5)
    assert stage.workers.scaled == []
    await stage.tick(passed=0.5)

    assert stage.workers.scaled == [("sms", 2)]


@pytest.mark.parametrize(
    ("failing", "told"),
    [
        ("ensure", Report(pool("sms"), 1000.0, observation=seen(30), failure=FORBIDDEN)),
        (
            "scale",
            Report(
                pool("sms"),
                1000.0,
                observation=seen(30),
                fleet=Fleet(0, 0),
                decision=Decision(3, Reason.ACTIVATED),
                failure=FORBIDDEN,
            ),
        ),
    ],
)
async def test_tells_that_the_target_failed_and_tries_again_at_the_next_tick(
    stage: Stage, failing: str, told: Report
) -> None:
    stage.engine.put(pool("sms"))
    stage.redis.answers["sms"] = seen(30)
    stage.workers.failing[failing, "sms"] = FORBIDDEN

    await stage.tick()
    assert stage.board.reports == [told]
    assert stage.workers.scaled == []
    stage.workers.failing.clear()
    await stage.tick()

    assert stage.workers.scaled == [("sms", 3)]


async def test_scales_the_others_when_one_pool_fails(stage: Stage) -> None:
    for name in ("broken", "unseen", "sms"):
        stage.engine.put(pool(name))
    stage.workers.failing["ensure", "broken"] = FORBIDDEN
    stage.redis.answers = {"broken": seen(10), "unseen": SILENT, "sms": seen(10)}

    await stage.tick()

    assert stage.workers.scaled == [("sms", 1)]
    assert stage.board.reasons == {"broken": None, "unseen": Reason.REDIS_UNAVAILABLE, "sms": Reason.ACTIVATED}


@pytest.mark.parametrize("mode", [Mode.RECOMMEND, Mode.PAUSED])
async def test_scales_no_pool_that_is_not_on_auto(stage: Stage, mode: Mode) -> None:
    stage.engine.put(pool("sms", mode=mode, pinned=5))
    stage.redis.answers["sms"] = seen(90)

    await stage.tick()

    assert stage.workers.scaled == []
    assert [report.applied for report in stage.board.reports] == [False]


async def test_tells_what_it_would_do_with_a_pool_that_is_only_advised(stage: Stage) -> None:
    stage.engine.put(pool("sms", mode=Mode.RECOMMEND))
    stage.redis.answers["sms"] = seen(90)

    await stage.tick()

    assert [report.decision for report in stage.board.reports] == [Decision(9, Reason.ACTIVATED)]
