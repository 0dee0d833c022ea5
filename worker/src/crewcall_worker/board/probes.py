"""Whether the board lives, and whether its Redis answers: for whoever runs it. Open to all, and tells nothing else."""

from __future__ import annotations

import threading
import time

import redis
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from crewcall_worker.board.visits import TheBoard

KNOWN_FOR = 1.0
"""Seconds for which an answer of Redis stands: whoever asks more often asks nobody."""

router = APIRouter(include_in_schema=False)
_lock = threading.Lock()
_known: dict[int, tuple[float, bool]] = {}


@router.get("/healthz")
def lives() -> PlainTextResponse:
    """It does."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
def is_ready(board: TheBoard) -> PlainTextResponse:
    """Whether Redis answers; 503 where not."""
    with _lock:
        at, answers = _known.get(id(board), (-KNOWN_FOR, False))
        if time.monotonic() - at >= KNOWN_FOR:
            answers = _answers(board.client)
            _known[id(board)] = (time.monotonic(), answers)
    return PlainTextResponse("ok\n") if answers else PlainTextResponse("Redis does not answer\n", 503)


def _answers(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.RedisError:
        return False
    return True
