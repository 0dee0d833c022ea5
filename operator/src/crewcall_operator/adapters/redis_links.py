"""The connections to all Redises that are in use, one to each."""

from __future__ import annotations

import asyncio

from crewcall_operator.adapters.redis_connection import Connection
from crewcall_operator.adapters.redis_link import RedisLink
from crewcall_operator.adapters.redis_sources import Sources
from crewcall_operator.api.pool import RedisSource

# A link nobody has used for so long (seconds) belonged to pools that are gone, or to a password that was changed.
IDLE_LINK_KEPT = 60.0


class RedisLinks:
    """One link for each Redis, opened when needed and closed when no longer used."""

    def __init__(self, timeout: float, sources: Sources, *, writes: bool) -> None:
        """`timeout` in seconds; without `writes` the server itself guards that nothing is changed."""
        self._timeout = timeout
        self._sources = sources
        self._writes = writes
        self._links: dict[Connection, RedisLink] = {}
        self._used: dict[Connection, float] = {}

    async def to(self, source: RedisSource) -> RedisLink:
        """The link to that Redis. Raises `QueueUnavailable` where its address or login is missing or wrong."""
        connection = await self._sources.connection(source)
        now = asyncio.get_running_loop().time()
        idle = [it for it, used in self._used.items() if used < now - IDLE_LINK_KEPT and it != connection]
        # All taken out before the first is waited for: others may ask meanwhile, and find the same ones idle.
        closing = [self._take(it) for it in idle]
        if connection not in self._links:
            self._links[connection] = RedisLink(connection, self._timeout, writes=self._writes)
        elif self._links[connection].has_failed:
            self._sources.doubt(source)
        self._used[connection] = now
        link = self._links[connection]
        for one in closing:
            await one.aclose()
        return link

    async def aclose(self) -> None:
        """Close all connections."""
        for link in [self._take(connection) for connection in list(self._links)]:
            await link.aclose()

    def _take(self, connection: Connection) -> RedisLink:
        del self._used[connection]
        return self._links.pop(connection)
