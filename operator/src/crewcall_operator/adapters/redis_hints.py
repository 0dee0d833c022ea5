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

from crewcall_operator.api.pool import Pool, PoolKey
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
    """Calls `hear(url, keys)` with the pools on the Redis at `url` that a hint is about."""

    def __init__(self, pools: Callable[[], Iterable[Pool]], hear: Callable[[str, Iterable[PoolKey]], None]) -> None:
        self._pools = pools
        self._hear = hear
        self._topics: dict[str, Topics] = {}
        self._ears: dict[str, tuple[frozenset[str], asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Listen to every Redis that a pool is on, until cancelled."""
        try:
            while True:
                self._topics = _topics(self._pools())
                await self._listen_where_pools_are()
                await asyncio.sleep(REFRESH)
        finally:
            await self._end(list(self._ears))

    async def _listen_where_pools_are(self) -> None:
        wanted = {url: frozenset(topics) for url, topics in self._topics.items()}
        await self._end([url for url, (channels, _) in self._ears.items() if wanted.get(url) != channels])
        for url, channels in wanted.items():
            if url not in self._ears:
                self._ears[url] = channels, asyncio.create_task(self._listen(url, channels))

    async def _end(self, urls: Iterable[str]) -> None:
        tasks = {self._ears.pop(url)[1] for url in urls}
        while tasks:
            for task in tasks:
                task.cancel()
            # Again and again: while it connects, redis-py takes a cancellation for an answer that did not come.
            _, tasks = await asyncio.wait(tasks, timeout=CANCEL_EVERY)

    async def _listen(self, url: str, channels: frozenset[str]) -> None:
        while True:
            try:
                async with Redis.from_url(
                    url, protocol=2, decode_responses=True, encoding_errors="replace", socket_connect_timeout=RECONNECT
                ) as client:
                    await self._hear_from(client, url, channels)
            except (failed.RedisError, OSError, ValueError, TypeError):
                await asyncio.sleep(RECONNECT)  # the reader tells of it, in words

    async def _hear_from(self, client: Redis, url: str, channels: frozenset[str]) -> None:
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
                    if keys := self._topics.get(url, {}).get(message["channel"], {}).get(queue):
                        self._hear(url, keys)


def _topics(pools: Iterable[Pool]) -> dict[str, Topics]:
    topics: dict[str, dict[str, dict[str, list[PoolKey]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for pool in pools:
        channel = wire.Keys(pool.redis.namespace).hints
        for queue in pool.policy.queues:
            topics[pool.redis.url][channel][queue.name].append(pool.key)
    return dict(topics)
