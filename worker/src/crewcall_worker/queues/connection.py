"""The way to Redis of those who enqueue: it answers soon, or the caller is told soon that it does not.

Not so a worker, which waits for its Redis as long as it takes. Each step of an enqueue, connecting or asking, has its
time; a connection that turns out to have been cut is made anew once. Whatever Redis or the network has to say becomes
one type of error, which names the endpoint and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
)
from redis.retry import Retry

from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.errors import WorkerError
from crewcall_worker.queues.receipts import Receipt
from crewcall_worker.redis_client import make_client
from crewcall_worker.settings import Settings, from_environment

CONNECT_WITHIN = 2.0
ANSWER_WITHIN = 2.0
"""Seconds. Two of the steps may be waited for in one call: see `make_bounded_client`."""

#: What each refusal asks for; the first that fits counts.
_REFUSALS: Mapping[type[redis.RedisError], str] = {
    AuthenticationError: "refuses the user or the password. Correct REDIS_URL or REDIS_PASSWORD",
    AuthenticationWrongNumberOfArgsError: "refuses the user or the password. Correct REDIS_URL or REDIS_PASSWORD",
    NoPermissionError: "does not let this user enqueue. Grant it the rights that docs/workerpool.md lists",
    ReadOnlyError: "is a read-only replica. Point REDIS_URL at the primary, or name its Sentinels",
    OutOfMemoryError: "is full, and takes no more. Raise its maxmemory, or let the workers catch up",
    BusyLoadingError: "loads its data still. Try again in a moment",
}


class QueueUnavailable(WorkerError):
    """Redis did not do what was asked of it.

    `receipts` are of the jobs of a large batch that were enqueued all the same. `is_unknown`: those after them may be
    there as well, for Redis's answer is what is missing. With a `dedupe_key` a job can be enqueued again without harm.
    """

    def __init__(self, words: str, receipts: Sequence[Receipt] = (), *, is_unknown: bool = False) -> None:
        super().__init__(words)
        self.receipts = tuple(receipts)
        self.is_unknown = is_unknown


def make_bounded_client(settings: Settings) -> redis.Redis:
    """A client whose calls end within some 4 s. Raises `BadSetting` where the URL is none of a Redis."""
    return make_client(
        settings,
        socket_connect_timeout=CONNECT_WITHIN,
        socket_timeout=ANSWER_WITHIN,
        # Connections that were idle while Redis restarted are noticed by their use. A time that has run out is not
        # waited for again.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        retry_on_timeout=False,
    )


@contextmanager
def told_of(endpoint: str, receipts: Sequence[Receipt] = ()) -> Iterator[None]:
    """Whatever goes wrong with the Redis at `endpoint` is a `QueueUnavailable`, with the receipts there are by then.

    Around calls of Redis alone: elsewhere an `OSError` may be of anything.
    """
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise _unavailable(endpoint, error, receipts) from error


def _unavailable(endpoint: str, error: redis.RedisError | OSError, receipts: Sequence[Receipt]) -> QueueUnavailable:
    for kind, words in _REFUSALS.items():
        if isinstance(error, kind):
            return QueueUnavailable(f"Redis {endpoint} {words}: {error}", receipts)
    if isinstance(error, redis.ResponseError):
        return QueueUnavailable(f"Redis {endpoint} refuses: {error}. Its log tells more", receipts)
    words = str(error).rstrip(".")
    return QueueUnavailable(
        f"Redis {endpoint} cannot be reached or does not answer: {words}. Check that it runs, and REDIS_URL",
        receipts,
        is_unknown=True,
    )


@contextmanager
def open_broker(environment: Mapping[str, str]) -> Iterator[CrewcallBroker]:
    """A broker for a few calls, by the environment. Raises `BadSetting`, and what is called a `QueueUnavailable`."""
    settings = from_environment(environment)
    broker = CrewcallBroker(client=make_bounded_client(settings), namespace=settings.redis_namespace, middleware=[])
    try:
        # No OSError: it may be of what the caller does besides, as of a terminal that is gone. redis-py has its own.
        try:
            yield broker
        except redis.RedisError as error:
            raise _unavailable(settings.redis_endpoint, error, ()) from error
    finally:
        broker.client.close()
