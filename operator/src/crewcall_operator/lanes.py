"""Lanes: one look at a time for each Redis and each pool, so that what hangs delays its own and nobody else's.

A defect that one of them meets is logged, and leaves the others alone. Beside the looks that are due there are those
that were hinted at. Which pools there are, and what is done with one, is the engine's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from crewcall_operator.api.pool import Pool, PoolKey

#: Seconds between two looks that hints have asked for.
BETWEEN_HINTS = 0.1

#: Pools whose work begins in one pass of the event loop, whichever Redis they are on: thousands in a row would keep
#: answers that are there already from being heard in time.
TOGETHER = 50

log = logging.getLogger("crewcall")

Name = TypeVar("Name", str, PoolKey)


@dataclass(slots=True)
class Lanes:
    """Runs `tend` for pools that share a Redis; `find` gives a pool by its key, None where it is gone."""

    tend: Callable[[Sequence[Pool]], Awaitable[None]]
    find: Callable[[PoolKey], Pool | None]
    _lanes: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _pools: dict[PoolKey, asyncio.Task[None]] = field(default_factory=dict)
    _aside: set[asyncio.Task[None]] = field(default_factory=set)
    _hinted: dict[str, set[PoolKey]] = field(default_factory=dict)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _door: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TOGETHER))

    def start(self, pools: Iterable[Pool]) -> None:
        """Have these pools looked at. A Redis or a pool that is still busy sits this one out."""
        self._lanes, self._pools = _going_on(self._lanes), _going_on(self._pools)
        by_redis = defaultdict(list)
        for pool in pools:
            if pool.key not in self._pools:
                by_redis[pool.redis.place].append(pool)
        for place, together in by_redis.items():
            if place not in self._lanes:
                self._lanes[place] = asyncio.create_task(self._run(together))

    async def go(self, pools: Iterable[Pool], work: Callable[[Pool], Coroutine[None, None, None]]) -> None:
        """Have the work of each of these pools done, beside their Redis' next look; gives when the last has begun."""
        for pool in pools:
            await self._door.acquire()
            self._pools[pool.key] = asyncio.create_task(work(pool))
            asyncio.get_running_loop().call_soon(self._door.release)  # in the pass in which it begins, after it

    def aside(self, work: Coroutine[None, None, None]) -> None:
        """Have something done beside every look."""
        task = asyncio.create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    def hint(self, place: str, keys: Iterable[PoolKey]) -> None:
        """There may be work for these pools on the Redis at `place`: look at them soon, whatever is going on there."""
        self._hinted.setdefault(place, set()).update(keys)
        self._woken.set()

    async def follow_hints(self, seconds: float) -> None:
        """For so long, have those looked at that are hinted at."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        await asyncio.sleep(0)
        while (left := until - loop.time()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._woken.wait()
            except TimeoutError:
                return
            self._woken.clear()
            self._start_hinted()
            await asyncio.sleep(min(BETWEEN_HINTS, left))

    async def finish(self) -> None:
        """Wait until every look is over. Raises what one has raised."""
        await asyncio.gather(*self._lanes.values())
        await asyncio.gather(*self._pools.values())
        await asyncio.gather(*self._aside)

    async def stop(self) -> None:
        """End every look."""
        tasks = [*self._lanes.values(), *self._pools.values(), *self._aside]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._lanes, self._pools = {}, {}

    def _start_hinted(self) -> None:
        free = [place for place in self._hinted if place not in self._lanes or self._lanes[place].done()]
        found = [(place, self.find(key)) for place in free for key in self._hinted.pop(place)]
        self.start(pool for place, pool in found if pool is not None and pool.redis.place == place)

    async def _run(self, pools: Sequence[Pool]) -> None:
        await self.tend(pools)
        if self._hinted:
            self._woken.set()  # what was hinted at meanwhile


def _going_on(tasks: dict[Name, asyncio.Task[None]]) -> dict[Name, asyncio.Task[None]]:
    """The tasks that still run. What another has raised is a defect: it is logged, and the next look tries again."""
    for name, task in tasks.items():
        if task.done() and not task.cancelled() and (defect := task.exception()) is not None:
            log.error("%s was left as it is for a tick, by a defect: %r", name, defect, exc_info=defect)
    return {name: task for name, task in tasks.items() if not task.done()}
