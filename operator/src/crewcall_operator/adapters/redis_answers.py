"""What comes back from a Redis, read with suspicion: whoever writes a WorkerPool may name any server, or what is none.

redis-py takes an answer of any length, and where it is none of Redis's, raises whatever it stumbles over. Here an
answer may have so many bytes and no more, and what cannot be read is an `InvalidResponse` like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis.exceptions as failed
from redis._parsers import _AsyncRESP2Parser  # redis-py has no public name for it

from crewcall_operator.errors import QueueUnavailable

#: One answer at the most. A script answers for 100 pools: that is the records of some 20,000 workers.
MOST_BYTES = 16 * 1024 * 1024
#: What each part of an answer counts for, however short it is: it takes memory, and some microseconds.
PART = 256
#: Parts after which others have their turn: while there is something to read, nothing else makes redis-py wait.
IN_A_TURN = 500

NO_REDIS = "it does not answer as a Redis does. Is that the port of one, and of no other service?"
TOO_MUCH = "it answers with more than is read at once. Does somebody else write to the keys of queues and workers?"


class TooMuch(failed.InvalidResponse):
    """An answer has no end, or one that is too far away."""


class Answers(_AsyncRESP2Parser):
    """redis-py's parser, with an end to its patience."""

    __slots__ = ("_left", "_parts")

    def __init__(self, socket_read_size: int) -> None:
        super().__init__(socket_read_size)
        self._left, self._parts = MOST_BYTES, 0

    async def read_response(self, disable_decoding: bool = False) -> Any:
        """One answer. Raises `redis.InvalidResponse` where it is none, and `TooMuch`; then the connection is closed."""
        self._left, self._parts = MOST_BYTES, 0
        try:
            return await super().read_response(disable_decoding)
        except (ValueError, RecursionError) as error:  # a length that is none, lines without an end, lists in lists
            raise failed.InvalidResponse(NO_REDIS) from error

    async def _read(self, length: int) -> bytes:
        self._spend(length)
        data: bytes = await super()._read(length)
        return data

    async def _readline(self) -> bytes:
        line: bytes = await super()._readline()
        self._spend(len(line) + PART)
        self._parts += 1
        if self._parts % IN_A_TURN == 0:
            await asyncio.sleep(0)
        return line

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooMuch(TOO_MUCH)


@contextmanager
def understanding(endpoint: str) -> Iterator[None]:
    """Around what makes something of an answer: one that none of our scripts gives is a `QueueUnavailable`."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise QueueUnavailable(endpoint, NO_REDIS) from error
