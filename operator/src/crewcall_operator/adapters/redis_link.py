"""One connection to one Redis, on which scripts run; every error of Redis is put in words here.

Works with Redis from 6.0 on and any Valkey. A link that failed connects anew with the next call: no back-off, as
callers come back at their own pace. What the scripts read or write, and what it means, belongs to their senders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import redis.exceptions as failed
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError
from redis.backoff import NoBackoff

from crewcall_operator.adapters.redis_connection import Connection, endpoint
from crewcall_operator.adapters.redis_sources import Sources
from crewcall_operator.api.pool import RedisSource
from crewcall_operator.errors import QueueUnavailable

# A link nobody has used for so long (seconds) belonged to pools that are gone, or to a password that was changed.
IDLE_LINK_KEPT = 60.0


class Call(NamedTuple):
    """A script and its arguments, none of them as a key."""

    script: str
    arguments: Sequence[str]


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
        for idle in [it for it, used in self._used.items() if used < now - IDLE_LINK_KEPT and it != connection]:
            await self._close(idle)
        if connection not in self._links:
            self._links[connection] = RedisLink(connection, self._timeout, writes=self._writes)
        elif self._links[connection].has_failed:
            self._sources.doubt(source)
        self._used[connection] = now
        return self._links[connection]

    async def aclose(self) -> None:
        """Close all connections."""
        for connection in list(self._links):
            await self._close(connection)

    async def _close(self, connection: Connection) -> None:
        link = self._links.pop(connection)
        del self._used[connection]
        await link.aclose()


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
        self._grant = _TO_WRITE if writes else _TO_READ

    async def run(self, calls: Sequence[Call]) -> list[Any]:
        """Run the scripts, all in one round trip; what each answers with.

        A call that Redis refuses is answered by a `QueueUnavailable`; it is raised where none could be asked.
        """
        try:
            async with asyncio.timeout(self._timeout):
                answers = await self._ask(calls)
        except (failed.RedisError, OSError) as error:
            self.has_failed = True
            raise self._unavailable(error) from error
        self.has_failed = False
        return [self._unavailable(answer) if isinstance(answer, Exception) else answer for answer in answers]

    def refused(self, key: str, said: str) -> QueueUnavailable:
        """What Redis said when a script asked for `key`, put in words like every other error."""
        if "WRONGTYPE" in said:
            return QueueUnavailable(self.endpoint, _WRONG_TYPE.format(key=key))
        if any(words in said.lower() for words in _NO_PERMISSION):
            return self._unavailable(failed.ResponseError(said))
        return QueueUnavailable(self.endpoint, f'asked for "{key}", it answered: {said}')

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
        if isinstance(error, failed.ResponseError) and any(words in str(error).lower() for words in _NO_PERMISSION):
            error = failed.NoPermissionError(str(error))  # as scripts are told
        for kinds, words in _WORDS:
            if isinstance(error, kinds):
                said = str(error).rstrip(".")
                why = words.format(error=said, timeout=self._timeout, grant=self._grant)
                return QueueUnavailable(self.endpoint, why)
        return QueueUnavailable(self.endpoint, f"it answered: {error}")


_WRONG_TYPE = '"{key}" is not as Dramatiq keeps a queue. Is the Redis namespace right, and nobody else writing there?'
_TO_READ = (
    "Grant it: +eval_ro (+eval before Redis 7) +llen +lindex +hlen +hstrlen +hget +zcard +select and the keys "
    "~<namespace>:*; for workers and delayed jobs also +hgetall +hexists +hscan +zrange +zcount +zscore +time and the "
    "keys ~crewcall:<namespace>:*"
)
_TO_WRITE = (
    "Grant it: +eval +select +time +@read +@write +publish, the keys ~<namespace>:* "
    "~crewcall:<namespace>:* and the channels &crewcall:<namespace>:*"
)
# How scripts are told so by Valkey and Redis from 7.2 on, by Redis 7.0, and by Redis 6.
_NO_PERMISSION = ("no permission", "user executing the script", "noperm")

# The first that fits explains; {error} is what Redis or the system said.
_WORDS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (failed.AuthenticationError, failed.AuthenticationWrongNumberOfArgsError),
        "it refuses the user or the password ({error}). Correct them in the pool's Redis URL.",
    ),
    ((failed.BusyLoadingError,), "it is still loading its data. Reading resumes by itself."),
    (
        (failed.NoPermissionError,),
        "its user may not do what this takes ({error}). {grant}.",
    ),
    (
        (failed.AskError, failed.ClusterError, failed.ClusterCrossSlotError),
        "it is a Redis Cluster ({error}), on which Dramatiq does not work. Name a Redis that is not.",
    ),
    (
        (MasterNotFoundError,),
        "no Sentinel answers that there is such a primary. Is spec.redis.sentinel right, login included?",
    ),
    ((TimeoutError, failed.TimeoutError), "no answer within {timeout:g} s. Is it up, and may this host reach it?"),
    ((failed.ConnectionError, OSError), "no connection ({error}). Is it up, and are host, port and TLS right?"),
)


def _is_unknown_command(answer: object) -> bool:
    return isinstance(answer, failed.ResponseError) and "unknown command" in str(answer).lower()
