"""Lanes: one look at a time for each Redis, so that one that hangs delays its own pools and nobody else's.

Beside the looks that are due there are those that were hinted at. Which pools there are, and what is done with one, is
the engine's.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from crewcall_operator.api.pool import Pool, PoolKey

#: Seconds between two looks that hints have asked for.
BETWEEN_HINTS = 0.1


@dataclass(slots=True)
class Lanes:
    """Runs `tend` for pools that share a Redis; `find` gives a pool by its key, None where it is gone."""

    tend: Callable[[Sequence[Pool]], Awaitable[None]]
    find: Callable[[PoolKey], Pool | None]
    _lanes: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _hinted: dict[str, set[PoolKey]] = field(default_factory=dict)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self, pools: Iterable[Pool]) -> None:
        """Have these pools looked at. A Redis that is still busy sits this one out. Raises what a look has raised."""
        for finished in [url for url, lane in self._lanes.items() if lane.done()]:
            self._lanes.pop(finished).result()
        by_redis = defaultdict(list)
        for pool in pools:
            by_redis[pool.redis.url].append(pool)
        for url, together in by_redis.items():
            if url not in self._lanes:
                self._lanes[url] = asyncio.create_task(self._run(together))

    def hint(self, url: str, keys: Iterable[PoolKey]) -> None:
        """There may be work for these pools on the Redis at `url`: look at them soon, whatever is going on there."""
        self._hinted.setdefault(url, set()).update(keys)
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

    async def stop(self) -> None:
        """End every look."""
        for lane in self._lanes.values():
            lane.cancel()
        await asyncio.gather(*self._lanes.values(), return_exceptions=True)
        self._lanes.clear()

    def _start_hinted(self) -> None:
        free = [url for url in self._hinted if url not in self._lanes or self._lanes[url].done()]
        found = [(url, self.find(key)) for url in free for key in self._hinted.pop(url)]
        self.start(pool for url, pool in found if pool is not None and pool.redis.url == url)

    async def _run(self, pools: Sequence[Pool]) -> None:
        await self.tend(pools)
        if self._hinted:
            self._woken.set()  # what was hinted at meanwhile
