"""Redis's clock, known without asking: the time of its last answer, carried on by this process's steady clock.

One clock for all processes, whatever their own clocks say. What scripts answer is exact; between two answers it is off
by the way of the last one and by the drift since then.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import redis


class RedisClock:
    """Times in ms since the epoch. The first `now_ms` asks Redis once, unless it was `set` before."""

    def __init__(self, client: redis.Redis, steady: Callable[[], float] = time.monotonic) -> None:
        """`steady` counts seconds and never jumps."""
        self._client = client
        self._steady = steady
        self._ahead_ms: float | None = None  # of the steady clock

    def set(self, now_ms: int) -> None:
        """Take the time that Redis has just answered."""
        self._ahead_ms = now_ms - self._steady() * 1000

    def now_ms(self) -> int:
        """The time by now. Raises `redis.RedisError` where it must ask and Redis is away."""
        if self._ahead_ms is None:
            seconds, microseconds = self._client.time()
            self.set(seconds * 1000 + microseconds // 1000)
        return self.known_ms() or 0

    def known_ms(self) -> int | None:
        """The time by now as far as it can be told without asking."""
        return None if self._ahead_ms is None else int(self._steady() * 1000 + self._ahead_ms)
