"""Connections that are kept at hand for what is asked of Redis time and again: to enqueue, fetch and acknowledge.

redis-py takes each connection out of its pool for one command, looks whether it stands, and puts it back: for a short
command that is half of its work, and all of it is between a thread and Python's lock. Who has just used a connection
knows that it stands. One that was idle for longer goes back to the pool, and comes from there again, looked at.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import redis

from crewcall_worker.redis_client import MOST_CONNECTIONS

STANDS_FOR = 1.0
"""Seconds after its use for which a connection is not looked at. One that was cut within them is made anew by redis-py,
as one is that is cut while it is used."""

T = TypeVar("T")


class KeptConnections:
    """Those of one client, as many as are used at once. For any thread; after a fork each process has its own."""

    def __init__(self, client: redis.Redis, steady: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._steady = steady
        self._process = os.getpid()
        self._idle: deque[tuple[redis.Redis, float]] = deque()  # and when it was used; the last one is taken first
        # A project's own broker may have so few that all are needed in the pool.
        self._may_keep = client.connection_pool.max_connections >= MOST_CONNECTIONS

    def use(self, ask: Callable[[redis.Redis], T]) -> T:
        """What `ask` answers that gets a client with a connection to itself. Raises `redis.RedisError`."""
        if not self._may_keep:
            return ask(self._client)
        client = self._take()
        try:
            return ask(client)
        finally:
            self._idle.append((client, self._steady()))

    def _take(self) -> redis.Redis:
        if self._process != os.getpid():
            self._process, self._idle = os.getpid(), deque()  # those that there are stay the parent's
        try:
            client, used_at = self._idle.pop()
        except IndexError:
            pass
        else:
            if self._steady() - used_at < STANDS_FOR:
                return client
            client.close()  # its connection goes back to the pool
        return redis.Redis(connection_pool=self._client.connection_pool, single_connection_client=True)
