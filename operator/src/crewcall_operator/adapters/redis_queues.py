"""The backlogs of pools, read from the keys that Dramatiq itself keeps in Redis.

For a queue Q under a namespace (Dramatiq 2, `dramatiq/brokers/redis/dispatch.lua`): list `Q`, the ready ids; hash
`Q.msgs`, every ready and unacked message; hash `Q.DQ.msgs`, the delayed; sorted set `Q.XQ`, the dead. So
`Q.msgs` less `Q` are in flight: prefetched or running, or left behind by a worker that was killed.

One round trip for any number of pools on one Redis, in scripts of 100 queues each: longer ones would hold up the
server's other clients. Only reads: an ACL user needs no more than
`+eval_ro +llen +lindex +hlen +hstrlen +hget +zcard ~<namespace>:*`, `+select` for a database other than 0, and
`+eval` in place of `+eval_ro` on Redis 6. Nothing is known here of workers, their threads or rates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from itertools import chain

from crewcall_operator.adapters.redis_link import RedisLink
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.model import Observation, QueueState
from crewcall_operator.errors import QueueUnavailable

QUEUES_IN_A_SCRIPT = 100
# A link nobody has used for so long (seconds) belonged to pools that are gone, or to a password that was changed.
IDLE_LINK_KEPT = 60.0

_SCRIPT = (resources.files(__package__) / "read_queues.lua").read_text()


class RedisQueues:
    """Reads backlogs; one connection for each Redis URL, opened when needed."""

    def __init__(self, wall_clock: Callable[[], float], timeout: float = 2.0) -> None:
        """`wall_clock` tells Unix time in seconds, as producers stamp their messages; `timeout` is in seconds."""
        self._wall_clock = wall_clock
        self._timeout = timeout
        self._links: dict[str, RedisLink] = {}
        self._used: dict[str, float] = {}
        self._seen: set[tuple[str, str]] = set()

    async def read(self, pools: Sequence[Pool]) -> Mapping[PoolKey, Observation | QueueUnavailable]:
        """Look once at each of `pools`, all on one Redis. Answers for every pool, and does not raise."""
        if not pools:
            return {}
        (url,) = {pool.redis.url for pool in pools}
        await self._close_idle(url)
        wanted = dict.fromkeys(chain.from_iterable(_keys(pool) for pool in pools))
        try:
            link = self._link(url)
            looks = await self._look(link, list(wanted))
        except QueueUnavailable as unavailable:
            return {pool.key: unavailable for pool in pools}
        now = self._wall_clock()
        return {pool.key: self._observe(pool, link, looks, now) for pool in pools}

    async def aclose(self) -> None:
        """Close all connections."""
        for url in list(self._links):
            await self._close(url)

    async def _look(self, link: RedisLink, keys: Sequence[str]) -> dict[str, str | QueueUnavailable]:
        """The script's line for each key; where a whole script was refused, its error stands for each of its keys."""
        batches = [keys[at : at + QUEUES_IN_A_SCRIPT] for at in range(0, len(keys), QUEUES_IN_A_SCRIPT)]
        looks: dict[str, str | QueueUnavailable] = {}
        for batch, answer in zip(batches, await link.run(_SCRIPT, batches), strict=True):
            lines = [answer] * len(batch) if isinstance(answer, QueueUnavailable) else answer.split("\n")
            looks.update(zip(batch, lines, strict=True))
        return looks

    def _observe(
        self, pool: Pool, link: RedisLink, looks: Mapping[str, str | QueueUnavailable], now: float
    ) -> Observation | QueueUnavailable:
        states: list[QueueState] = []
        for queue, key in zip(pool.policy.queues, _keys(pool), strict=True):
            look = looks[key]
            if isinstance(look, QueueUnavailable):
                return look
            if look.startswith("-"):
                return link.refused(key, look[1:])
            states.append(self._state(link.endpoint, key, queue.name, look, now))
        return Observation(tuple(states))

    def _state(self, endpoint: str, key: str, name: str, line: str, now: float) -> QueueState:
        ready, held, delayed, dead, ready_at_ms = map(int, line.split())
        if ready or held or delayed or dead:
            self._seen.add((endpoint, key))
        return QueueState(
            name=name,
            ready=ready,
            in_flight=max(0, held - ready),
            delayed=delayed,
            dead=dead,
            oldest_ready_age=None if ready_at_ms < 0 else max(0.0, now - ready_at_ms / 1000),
            is_known=(endpoint, key) in self._seen,
        )

    def _link(self, url: str) -> RedisLink:
        if url not in self._links:
            self._links[url] = RedisLink(url, self._timeout)
        self._used[url] = asyncio.get_running_loop().time()
        return self._links[url]

    async def _close_idle(self, wanted: str) -> None:
        before = asyncio.get_running_loop().time() - IDLE_LINK_KEPT
        for url in [url for url, used in self._used.items() if used < before and url != wanted]:
            await self._close(url)

    async def _close(self, url: str) -> None:
        link = self._links.pop(url)
        del self._used[url]
        await link.aclose()


def _keys(pool: Pool) -> list[str]:
    return [f"{pool.redis.namespace}:{queue.name}" for queue in pool.policy.queues]
