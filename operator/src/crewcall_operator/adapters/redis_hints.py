"""An ear for producers' hints that there is work, so that a sleeping pool need not wait for the next look.

Producers with the runtime publish a queue's name when it was empty before (see the head of `crewcall_worker.wire`).
One subscription for each Redis. Hints may be lost, and a Redis may refuse them: looking at intervals finds the work
all the same, so nothing here is an error.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import redis.exceptions as failed
from redis.asyncio import Redis

from crewcall_operator.adapters.redis_answers import understanding
from crewcall_operator.adapters.redis_sources import URLS_ONLY, Sources
from crewcall_operator.api.pool import Pool, PoolKey, RedisSource
from crewcall_operator.errors import QueueUnavailable
from crewcall_worker import wire

#: Seconds between two looks at which pools there are.
REFRESH = 0.5
#: Seconds until a subscription that was lost is tried again.
RECONNECT = 2.0
#: Seconds between two tries to end a subscription.
CANCEL_EVERY = 0.05
#: Seconds after which a silent connection is tried: the server may be gone without a word.
TRIED_AFTER = 15.0

Topics = Mapping[str, Mapping[str, Iterable[PoolKey]]]
"""Of one Redis: channel -> queue -> the pools that work on it."""


class RedisHints:
    """Calls `hear(place, keys)` with the pools on the Redis at that place that a hint is about."""

    def __init__(
        self,
        pools: Callable[[], Iterable[Pool]],
        hear: Callable[[str, Iterable[PoolKey]], None],
        sources: Sources = URLS_ONLY,
    ) -> None:
        self._pools = pools
        self._hear = hear
        self._sources = sources
        self._topics: dict[str, Topics] = {}
        self._ears: dict[str, tuple[frozenset[str], asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Listen to every Redis that a pool is on, until cancelled."""
        try:
            known: tuple[Pool, ...] | None = None
            while True:
                pools = tuple(self._pools())
                if pools != known:  # thousands of them are told apart by what they are, not by what is in them
                    known, self._topics = pools, _topics(pools)
                    sources = {pool.redis.place: pool.redis for pool in pools}
                    await self._listen_where_pools_are(sources)
                await asyncio.sleep(REFRESH)
        finally:
            await self._end(list(self._ears))

    async def _listen_where_pools_are(self, sources: Mapping[str, RedisSource]) -> None:
        wanted = {place: frozenset(topics) for place, topics in self._topics.items()}
        await self._end([place for place, (channels, _) in self._ears.items() if wanted.get(place) != channels])
        for place, channels in wanted.items():
            if place not in self._ears:
                self._ears[place] = channels, asyncio.create_task(self._listen(sources[place], channels))

    async def _end(self, places: Iterable[str]) -> None:
        tasks = {self._ears.pop(place)[1] for place in places}
        while tasks:
            for task in tasks:
                task.cancel()
            # Again and again: while it connects, redis-py takes a cancellation for an answer that did not come.
            _, tasks = await asyncio.wait(tasks, timeout=CANCEL_EVERY)

    async def _listen(self, source: RedisSource, channels: frozenset[str]) -> None:
        while True:
            try:
                connection = await self._sources.connection(source)
                async with Redis.from_pool(connection.pool(socket_connect_timeout=RECONNECT)) as client:
                    with understanding(f"of {source}"):
                        await self._hear_from(client, source.place, channels)
            except (failed.RedisError, OSError, QueueUnavailable):
                self._sources.doubt(source)
                await asyncio.sleep(RECONNECT)  # the reader tells of it, in words

    async def _hear_from(self, client: Redis, place: str, channels: frozenset[str]) -> None:
        async with client.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(*channels)
            is_tried = False
            while True:
                message = await subscription.get_message(timeout=TRIED_AFTER)
                if message is None:
                    if is_tried:
                        raise failed.TimeoutError
                    await subscription.ping()
                is_tried = message is None
                if message is not None and message["type"] == "message":
                    queue = wire.plain_queue(message["data"])
                    if keys := self._topics.get(place, {}).get(message["channel"], {}).get(queue):
                        self._hear(place, keys)


def _topics(pools: Iterable[Pool]) -> dict[str, Topics]:
    topics: dict[str, dict[str, dict[str, list[PoolKey]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for pool in pools:
        channel = wire.Keys(pool.redis.namespace).hints
        for queue in pool.policy.queues:
            topics[pool.redis.place][channel][queue.name].append(pool.key)
    return dict(topics)
