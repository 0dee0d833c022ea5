"""One connection to one Redis, on which scripts run; every error of Redis becomes a `QueueUnavailable` here.

Works with Redis from 6.0 on and any Valkey. A link that failed connects anew with the next call: no back-off, as
callers come back at their own pace; only who answers with too much is left alone for a while. What the scripts read or
write, and what it means, belongs to their senders; what is said of errors, to `redis_words`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import redis.exceptions as failed
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from crewcall_operator.adapters.redis_answers import TooMuch
from crewcall_operator.adapters.redis_connection import Connection, endpoint
from crewcall_operator.adapters.redis_words import why, why_refused
from crewcall_operator.errors import QueueUnavailable

#: Seconds for which a server is not asked again that has answered with too much: reading that took others' time.
LEFT_ALONE = 10.0


class Call(NamedTuple):
    """A script and its arguments, none of them as a key."""

    script: str
    arguments: Sequence[str]


class RedisLink:
    """At most one connection to a Redis, made when it is first needed. `endpoint` holds no password.

    `has_failed` tells whether the last call could not be made.
    """

    def __init__(self, connection: Connection, timeout: float, *, writes: bool = False) -> None:
        """`timeout` in seconds, for connecting and answering together. Raises `QueueUnavailable` on a bad URL."""
        # One retry, at once: a connection that has died since the last call is found out by using it.
        self._pool = connection.pool(retry=Retry(NoBackoff(), 1))
        self.endpoint = endpoint(connection, self._pool)
        self.has_failed = False
        self._client = Redis.from_pool(self._pool)
        self._timeout = timeout
        self._command = "EVAL" if writes else "EVAL_RO"
        self._writes = writes
        self._too_much: TooMuch | None = None
        self._left_alone_until = 0.0

    async def run(self, calls: Sequence[Call]) -> list[Any]:
        """Run the scripts, all in one round trip; what each answers with.

        A call that Redis refuses is answered by a `QueueUnavailable`; it is raised where none could be asked.
        """
        loop = asyncio.get_running_loop()
        if self._too_much is not None and loop.time() < self._left_alone_until:
            raise self._unavailable(self._too_much)
        try:
            async with asyncio.timeout(self._timeout):
                answers = await self._ask(calls)
        except (failed.RedisError, OSError) as error:
            self.has_failed = True
            if isinstance(error, TooMuch):
                self._too_much, self._left_alone_until = error, loop.time() + LEFT_ALONE
            raise self._unavailable(error) from error
        self.has_failed = False
        return [self._unavailable(answer) if isinstance(answer, Exception) else answer for answer in answers]

    def refused(self, key: str, said: str) -> QueueUnavailable:
        """What Redis said when a script asked for `key`, put in words like every other error."""
        return self._failure(why_refused(key, said, writes=self._writes))

    async def aclose(self) -> None:
        """Close the connection."""
        await self._pool.aclose()

    async def _ask(self, calls: Sequence[Call]) -> list[Any]:
        # Not EVALSHA: 2 KB sent with 100 queues cost microseconds, and nothing has to be loaded, lost and loaded again.
        async with self._client.pipeline(transaction=False) as pipeline:
            for call in calls:
                # As arguments, not keys: a key that the user may not read shall fail itself, not the whole script.
                pipeline.execute_command(self._command, call.script, 0, *call.arguments)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        if self._command == "EVAL_RO" and any(_is_unknown_command(answer) for answer in answers):
            self._command = "EVAL"  # Redis 6: the same script, without the server's own guard against writing
            return await self._ask(calls)
        return answers

    def _unavailable(self, error: Exception) -> QueueUnavailable:
        return self._failure(why(error, self._timeout, writes=self._writes))

    def _failure(self, words: str) -> QueueUnavailable:
        return QueueUnavailable(self.endpoint, words, "written to" if self._writes else "read")


def _is_unknown_command(answer: object) -> bool:
    return isinstance(answer, failed.ResponseError) and "unknown command" in str(answer).lower()
