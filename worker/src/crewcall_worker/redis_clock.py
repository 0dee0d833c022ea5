"""Redis's clock, known without asking: the times of its answers, carried on by this process's steady clock.

One clock for all processes, whatever their own clocks say. What scripts answer is exact; between two answers it is
behind by at most the way of the quickest one so far: an answer was true at some moment between the question and its
arrival, so each narrows down what its clock can be, and a slow one moves nothing (K. Marzullo, S. Owicki, "Maintaining
the time in a distributed system", 1983). It goes back only where Redis's own does.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import redis


def asked_ms(client: redis.Redis) -> int:
    """The time now, in ms since the epoch, at the price of a question. Raises `redis.RedisError`."""
    seconds, microseconds = client.time()
    return int(seconds * 1000 + microseconds // 1000)


class RedisClock:
    """Times in ms since the epoch. The first `now_ms` asks Redis once, unless it was `set` before."""

    def __init__(self, client: redis.Redis, steady: Callable[[], float] = time.monotonic) -> None:
        """`steady` counts seconds and never jumps."""
        self._client = client
        self._steady = steady
        self._ahead_ms: float | None = None  # of the steady clock

    def set(self, now_ms: int, *, asked_at: float) -> None:
        """Take the time that Redis has just answered to a question of `asked_at`, a moment of the steady clock."""
        at_least = now_ms - self._steady() * 1000
        at_most = now_ms + 1 - asked_at * 1000
        self._ahead_ms = at_least if self._ahead_ms is None else min(max(self._ahead_ms, at_least), at_most)

    def now_ms(self) -> int:
        """The time by now. Raises `redis.RedisError` where it must ask and Redis is away."""
        if self._ahead_ms is None:
            asked_at = self._steady()
            self.set(asked_ms(self._client), asked_at=asked_at)
        return self.known_ms() or 0

    def known_ms(self) -> int | None:
        """The time by now as far as it can be told without asking."""
        return None if self._ahead_ms is None else int(self._steady() * 1000 + self._ahead_ms)
