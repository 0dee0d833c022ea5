"""The connections to all Redises that are in use, one to each URL."""

from __future__ import annotations

import asyncio

from crewcall_operator.adapters.redis_link import RedisLink

# A link nobody has used for so long (seconds) belonged to pools that are gone, or to a password that was changed.
IDLE_LINK_KEPT = 60.0


class RedisLinks:
    """One link for each Redis URL, opened when needed and closed when no longer used."""

    def __init__(self, timeout: float, *, writes: bool) -> None:
        """`timeout` in seconds; without `writes` the server itself guards that nothing is changed."""
        self._timeout = timeout
        self._writes = writes
        self._links: dict[str, RedisLink] = {}
        self._used: dict[str, float] = {}

    async def to(self, url: str) -> RedisLink:
        """The link to that Redis. Raises `QueueUnavailable` on a bad URL."""
        now = asyncio.get_running_loop().time()
        for idle in [it for it, used in self._used.items() if used < now - IDLE_LINK_KEPT and it != url]:
            await self._close(idle)
        if url not in self._links:
            self._links[url] = RedisLink(url, self._timeout, writes=self._writes)
        self._used[url] = now
        return self._links[url]

    async def aclose(self) -> None:
        """Close all connections."""
        for url in list(self._links):
            await self._close(url)

    async def _close(self, url: str) -> None:
        link = self._links.pop(url)
        del self._used[url]
        await link.aclose()
