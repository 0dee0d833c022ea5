"""How many pools' work begins in one pass of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence

from tests.support.pools import pool

from crewcall_operator.api.pool import Pool
from crewcall_operator.lanes import TOGETHER, Lanes


async def test_thousands_begin_a_few_in_each_pass_of_the_loop_whichever_redis_they_are_on() -> None:
    begun = Begun()
    lanes = Lanes(begun.tend, lambda _: None)
    pools = [[pool(f"{redis}-{number}") for number in range(3 * TOGETHER)] for redis in range(4)]

    passes = await begun.counted(*(lanes.go(together, begun.work) for together in pools))

    assert sum(passes) == 12 * TOGETHER
    assert max(passes) <= TOGETHER


async def test_few_of_many_redises_begin_at_once() -> None:
    begun = Begun()
    lanes = Lanes(begun.tend, lambda _: None)

    passes = await begun.counted(*(lanes.go([pool(f"{redis}")], begun.work) for redis in range(TOGETHER)))

    assert [count for count in passes if count] == [TOGETHER]


async def test_work_that_does_not_end_keeps_nobody_at_the_door() -> None:
    begun = Begun(hangs=True)
    lanes = Lanes(begun.tend, lambda _: None)

    passes = await begun.counted(lanes.go([pool(f"{number}") for number in range(2 * TOGETHER)], begun.work))
    await lanes.stop()

    assert sum(passes) == 2 * TOGETHER


class Begun:
    """Counts what begins."""

    def __init__(self, *, hangs: bool = False) -> None:
        self._hangs = hangs
        self._count = 0

    async def tend(self, pools: Sequence[Pool]) -> None:
        raise AssertionError(pools)

    async def work(self, _: Pool) -> None:
        self._count += 1
        if self._hangs:
            await asyncio.Event().wait()

    async def counted(self, *going: Coroutine[None, None, None]) -> list[int]:
        """What begins in each pass while all of these go, and in one more."""
        tasks, passes = [asyncio.create_task(one) for one in going], []
        is_over = False
        while not is_over:
            is_over, before = all(task.done() for task in tasks), self._count
            await asyncio.sleep(0)
            passes.append(self._count - before)
        return passes
