"""Between two ticks, hints have single pools looked at at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.pools import pool, seen
from tests.support.stage import Stage, settled, until

URL = "redis://redis:6379/0"
SMS, EMAIL = pool("sms"), pool("email")


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[None]:
    """An engine that has just ticked and would do so again in a minute."""
    for each in (SMS, EMAIL):
        stage.engine.put(each)
    run = asyncio.create_task(stage.engine.run(60.0))
    await until(lambda: len(stage.board.reports) == 2)
    stage.redis.asked.clear()
    yield
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_looks_at_once_at_the_pool_that_was_hinted_at_and_at_no_other(stage: Stage) -> None:
    async with running(stage):
        stage.redis.answers["sms"] = seen(10)
        stage.engine.hint(URL, [SMS.key])
        await settled()

        assert (stage.redis.asked, stage.workers.scaled) == ([("sms",)], [("sms", 1)])


async def test_looks_once_for_hints_that_come_together(stage: Stage) -> None:
    async with running(stage):
        for key in (SMS.key, EMAIL.key, SMS.key):
            stage.engine.hint(URL, [key])
        await settled()

        assert [sorted(names) for names in stage.redis.asked] == [["email", "sms"]]


async def test_looks_again_for_a_hint_that_came_during_a_look(stage: Stage) -> None:
    async with running(stage):
        stage.redis.hanging[URL] = asyncio.Event()
        stage.engine.hint(URL, [SMS.key])
        await until(lambda: stage.redis.asked == [("sms",)])
        stage.engine.hint(URL, [SMS.key])
        await asyncio.sleep(0.15)  # longer than between two looks for hints: it is the busy Redis that is waited for
        assert stage.redis.asked == [("sms",)]
        stage.redis.hanging.pop(URL).set()

        await until(lambda: stage.redis.asked == [("sms",), ("sms",)])


async def test_a_hint_for_a_pool_that_is_gone_or_elsewhere_by_now_is_nothing(stage: Stage) -> None:
    async with running(stage):
        stage.engine.hint("redis://other", [SMS.key])
        stage.engine.hint(URL, [pool("gone").key])
        await settled()

        assert stage.redis.asked == []
