"""Whether anything stirs in the Redis of pools at rest: one question for a hundred of them, and mostly an empty answer.

Redis keeps no empty list and no empty hash, so a pool has jobs, workers or orders where one of its keys holds anything.
So does a pool that is pinned by hand. Dead letters do not count: they stay for days. The rights are those that
`redis_queues` asks for.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from itertools import chain

from crewcall_operator.adapters.redis_answers import understanding
from crewcall_operator.adapters.redis_link import Call
from crewcall_operator.adapters.redis_links import RedisLinks
from crewcall_operator.adapters.redis_sources import URLS_ONLY, Sources
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.errors import QueueUnavailable
from crewcall_worker import wire

POOLS_IN_A_SCRIPT = 100

_SCRIPT = """
-- ARGV[1] = [[workers, orders, pins, the pool's name in them, queue, ...], ...] as JSON, one list for each pool.
-- Answers with the places, from 0 on, of those that hold anything.
local stirring = {}
for i, keys in ipairs(cjson.decode(ARGV[1])) do
    local found = redis.call("HLEN", keys[1]) + redis.call("HLEN", keys[2]) + redis.call("HEXISTS", keys[3], keys[4])
    for j = 5, #keys do
        found = found + redis.call("LLEN", keys[j])
            + redis.call("HLEN", keys[j] .. ".msgs") + redis.call("HLEN", keys[j] .. ".DQ.msgs")
    end
    if found > 0 then
        stirring[#stirring + 1] = i - 1
    end
end
return stirring
"""


class RedisStirring:
    """Implements `rest.Stirring`; one connection for each Redis, opened when needed."""

    def __init__(self, timeout: float = 2.0, sources: Sources = URLS_ONLY) -> None:
        """`timeout` in seconds, for each question."""
        self._links = RedisLinks(timeout, sources, writes=False)
        self._asked: dict[str, tuple[tuple[Pool, ...], list[Call]]] = {}

    async def stirring(self, pools: Sequence[Pool]) -> Collection[PoolKey]:
        """Those of `pools`, all on one Redis, that have jobs, workers, orders or a pin, or could not be asked about."""
        calls = self._calls(pools)
        try:
            link = await self._links.to(pools[0].redis)
            answers = await link.run(calls)
            with understanding(link.endpoint):
                return list(chain.from_iterable(_of_batch(pools, at, answer) for at, answer in enumerate(answers)))
        except QueueUnavailable:
            return [pool.key for pool in pools]

    async def aclose(self) -> None:
        """Close all connections."""
        await self._links.aclose()

    def _calls(self, pools: Sequence[Pool]) -> list[Call]:
        """The same ones again where the pools are the same: rendering thousands of keys is the dear part."""
        place, asked = pools[0].redis.place, tuple(pools)
        known, calls = self._asked.get(place, ((), []))
        if len(known) != len(asked) or any(one is not other for one, other in zip(known, asked, strict=True)):
            steps = range(0, len(asked), POOLS_IN_A_SCRIPT)
            batches = [asked[at : at + POOLS_IN_A_SCRIPT] for at in steps]
            calls = [Call(_SCRIPT, [json.dumps([_keys(pool) for pool in batch])]) for batch in batches]
            self._asked[place] = asked, calls
        return calls


def _of_batch(pools: Sequence[Pool], number: int, answer: Sequence[int] | QueueUnavailable) -> list[PoolKey]:
    begin = number * POOLS_IN_A_SCRIPT
    if isinstance(answer, QueueUnavailable):
        return [pool.key for pool in pools[begin : begin + POOLS_IN_A_SCRIPT]]
    return [pools[begin + at].key for at in answer]


def _keys(pool: Pool) -> list[str]:
    keys, name = wire.Keys(pool.redis.namespace), wire.pool_name(*pool.key)
    queues = [f"{pool.redis.namespace}:{queue.name}" for queue in pool.policy.queues]
    return [keys.workers(name), keys.orders(name), keys.pins, name, *queues]
