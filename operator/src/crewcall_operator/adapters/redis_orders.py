"""Writes for a pool's workers into Redis: orders to their pods, and the recovery of what dead ones held.

Each write is a script of its own, so that nobody sees it half done. What is written where is at the head of
`crewcall_worker.wire`; recovering is the same script that the workers themselves run.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from crewcall_operator.adapters.log import log
from crewcall_operator.adapters.redis_answers import understanding
from crewcall_operator.adapters.redis_link import Call, RedisLink
from crewcall_operator.adapters.redis_links import RedisLinks
from crewcall_operator.adapters.redis_sources import URLS_ONLY, Sources
from crewcall_operator.adapters.redis_words import shown
from crewcall_operator.api.deployment import own_variable
from crewcall_operator.api.pool import Pool
from crewcall_operator.errors import QueueUnavailable
from crewcall_operator.ports import Recovered
from crewcall_worker import wire

#: Silence after which the worker of a pod that is gone is dead, in ms. It tells of itself each second; a pod that was
#: deleted by force is gone from the cluster before its processes are.
GONE_SILENT_MS = 2_000
#: Between two looks for lapsed workers, whoever looks, in ms.
SWEEP_PERIOD_MS = 3_000
#: For how long dead letters are kept, in ms, as Dramatiq's broker does by default (dramatiq/brokers/redis.py).
DEAD_LETTERS_KEPT_MS = 7 * 86_400_000
#: Lapsed workers that one look takes for dead; the next takes the next ones.
MOST_AT_ONCE = 1_000

_ORDER = """
-- ARGV: orders, their channel, then for each pod "drain" or "run" and its name.
for i = 3, #ARGV, 2 do
    if ARGV[i] == "drain" then
        redis.call("HSET", ARGV[1], ARGV[i + 1], ARGV[i])
    else
        redis.call("HDEL", ARGV[1], ARGV[i + 1])
    end
    redis.call("PUBLISH", ARGV[2], ARGV[i + 1])
end
"""


class RedisOrders:
    """Implements `ports.Orders`; one connection for each Redis, opened when there is to write."""

    def __init__(
        self, timeout: float = 2.0, gone_silent_ms: int = GONE_SILENT_MS, sources: Sources = URLS_ONLY
    ) -> None:
        """`timeout` in seconds, for each call; a worker whose pod is gone is dead after `gone_silent_ms` of silence."""
        self._gone_silent_ms = gone_silent_ms
        self._links = RedisLinks(timeout, sources, writes=True)
        self._told: set[str] = set()

    async def give(self, pool: Pool, drain: Collection[str], withdraw: Collection[str]) -> None:
        """Order the pods in `drain` to drain, and let those in `withdraw` work. Raises `QueueUnavailable`."""
        keys = wire.Keys(pool.redis.namespace)
        words = [(wire.Order.DRAIN, pod) for pod in drain] + [(wire.Order.RUN, pod) for pod in withdraw]
        arguments = [keys.orders(_name(pool)), keys.orders_changed, *(part for word in words for part in word)]
        await self._ask(await self._links.to(pool.redis), [Call(_ORDER, arguments)])

    async def recover(self, pool: Pool, workers: Sequence[str]) -> Sequence[Recovered]:
        """Take workers for dead whose pods are gone, those that are silent too. Raises `QueueUnavailable`."""
        return await self._recover(pool, workers, self._gone_silent_ms)

    async def recover_lapsed(self, pool: Pool) -> Sequence[Recovered]:
        """Take workers for dead that have been silent for too long, as `lua/sweep.lua` judges it.

        Raises `QueueUnavailable`.
        """
        lapse_ms = int(_told(pool, wire.ENV_LAPSED_AFTER, wire.LAPSED_AFTER_MS / 1000) * 1000)
        times = [str(lapse_ms), str(SWEEP_PERIOD_MS), str(DEAD_LETTERS_KEPT_MS)]
        call = Call(wire.SWEEP, [pool.redis.namespace, _name(pool), *times])
        link = await self._links.to(pool.redis)
        (lapsed,) = await self._ask(link, [call])
        with understanding(link.endpoint):
            workers = [str(worker) for worker in lapsed[:MOST_AT_ONCE]]
        return await self._recover(pool, workers, lapse_ms)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._links.aclose()

    async def _recover(self, pool: Pool, workers: Sequence[str], silent_ms: int) -> list[Recovered]:
        fixed = [str(int(_told(pool, wire.ENV_MOST_KILLS, wire.MOST_KILLS))), str(silent_ms)]
        calls = [Call(wire.RECOVER, [pool.redis.namespace, _name(pool), worker, *fixed]) for worker in workers]
        if not calls:
            return []
        link = await self._links.to(pool.redis)
        recovered, failures = [], []
        for worker, answer in zip(workers, await link.run(calls), strict=True):
            if isinstance(answer, QueueUnavailable):
                failures.append(answer)
                self._tell_once(f"What worker {shown(worker)} of {_name(pool)} held cannot be given back: {answer}")
                continue
            with understanding(link.endpoint):
                if answer[0] >= 0:
                    recovered.append(Recovered(worker, answer[0], tuple(answer[1:])))
        if len(failures) == len(calls):
            raise failures[0]
        return recovered

    def _tell_once(self, words: str) -> None:
        if words not in self._told:
            self._told.add(words)
            log.warning("%s", words)

    async def _ask(self, link: RedisLink, calls: Sequence[Call]) -> list[Any]:
        answers = await link.run(calls)
        for answer in answers:
            if isinstance(answer, QueueUnavailable):
                raise answer
        return answers


def _told(pool: Pool, variable: str, default: float) -> float:
    """What the pool's workers go by; they refuse what is no number, so that it matters to nobody here."""
    try:
        return float(own_variable(pool, variable) or default)
    except ValueError:
        return default


def _name(pool: Pool) -> str:
    return wire.pool_name(*pool.key)
