"""Whether the board lives, and whether its Redis answers: for whoever runs it. Open to all, and tells nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio.to_thread
import redis
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

KNOWN_FOR = 1.0
"""Seconds for which an answer of Redis stands: whoever asks more often asks nobody."""

router = APIRouter(include_in_schema=False)


class Readiness:
    """Whether one board's Redis answers, as of a second ago at most: asked by one thread at a time."""

    def __init__(self, client: redis.Redis, steady: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._steady = steady
        self._thread = anyio.CapacityLimiter(1)
        self._known: tuple[float, bool] | None = None

    async def answers(self) -> bool:
        """By a PING, unless that was asked a moment ago. The threads that all else uses may be waiting for Redis."""
        return await anyio.to_thread.run_sync(self._ask, limiter=self._thread)

    def _ask(self) -> bool:
        if self._known is None or self._steady() - self._known[0] >= KNOWN_FOR:
            self._known = (self._steady(), self._ping())
        return self._known[1]

    def _ping(self) -> bool:
        try:
            self._client.ping()
        except redis.RedisError:
            return False
        return True


@router.get("/healthz")
async def lives() -> PlainTextResponse:
    """It does."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def is_ready(request: Request) -> PlainTextResponse:
    """Whether Redis answers; 503 where not."""
    readiness: Readiness = request.app.state.readiness
    return PlainTextResponse("ok\n") if await readiness.answers() else PlainTextResponse("Redis does not answer\n", 503)
