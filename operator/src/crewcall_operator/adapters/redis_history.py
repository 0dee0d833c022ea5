"""Tells the board of each pool, in the pool's own Redis: how it is, and how it came to be so.

What is worth telling is `api.telling`'s part, and what is written where is at the head of `crewcall_worker.wire`. It
waits here, the latest only, until `run` has sent it: once a second, all pools of a Redis in one round trip. Nothing
depends on it: a Redis that does not take it is left alone for a while, and that is said once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple

from crewcall_operator.adapters.log import log
from crewcall_operator.adapters.redis_link import Call
from crewcall_operator.adapters.redis_links import RedisLinks
from crewcall_operator.adapters.redis_sources import URLS_ONLY, Sources
from crewcall_operator.api.pool import Pool, PoolKey, RedisSource
from crewcall_operator.api.telling import NOTHING, Told, news
from crewcall_operator.errors import QueueUnavailable
from crewcall_operator.ports import Clock, Report
from crewcall_worker import wire

#: Seconds between two writes, and how long a Redis that did not take one is left alone.
EVERY, RETRY = 1.0, 30.0
#: Pools that one script tells of, and one flush: when the operator starts, there may be thousands at once. And entries
#: of one pool that wait, at the most.
POOLS_IN_A_SCRIPT, MOST_AT_ONCE, MOST_WAITING = 50, 500, 20
GONE = "-"

_SCRIPT = """
-- ARGV: what all keys begin with, for how long a pool is kept in ms, how many entries; then for each pool its name, its
-- JSON without the time ("" to leave it as it is, "-" where the pool is gone), how many entries of history there are,
-- and for each of them how many words it has, and these.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local prefix, kept, most = ARGV[1], ARGV[2], ARGV[3]
redis.call("ZREMRANGEBYSCORE", prefix .. "pools", "-inf", string.format("%.0f", now - kept))
local at = 4
while ARGV[at] do
    local name, json, entries = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
    at = at + 3
    if json == "-" then
        redis.call("DEL", prefix .. "pool:" .. name)
        redis.call("ZREM", prefix .. "pools", name)
    elseif json ~= "" then
        local text = string.format('%s,"at_ms":%.0f}', string.sub(json, 1, -2), now)
        redis.call("SET", prefix .. "pool:" .. name, text, "PX", kept)
        redis.call("ZADD", prefix .. "pools", string.format("%.0f", now), name)
    end
    for _ = 1, entries do
        local words = tonumber(ARGV[at])
        local history = prefix .. "history:" .. name
        redis.call("XADD", history, "MAXLEN", "~", most, "*", unpack(ARGV, at + 1, at + words))
        redis.call("PEXPIRE", history, kept)
        at = at + 1 + words
    end
end
"""


class _Where(NamedTuple):
    """A pool's keys: on which Redis, of which namespace, and what the pool is called in them."""

    place: str
    namespace: str
    name: str


@dataclass(slots=True)
class _Waiting:
    """What is to be written of one pool: its JSON as the script takes it, and entries of its history, oldest first."""

    key: PoolKey
    source: RedisSource
    json: str = ""
    entries: list[dict[str, str]] = field(default_factory=list)

    @property
    def arguments(self) -> Iterable[str]:
        words = [list(chain.from_iterable(entry.items())) for entry in self.entries]
        told = chain.from_iterable((str(len(entry)), *entry) for entry in words)
        return (wire.pool_name(*self.key), self.json, str(len(words)), *told)


class RedisHistory:
    """A Reporter; `run` sends what it has found worth telling."""

    def __init__(self, clock: Clock, timeout: float = 2.0, sources: Sources = URLS_ONLY) -> None:
        """`clock` is the engine's; `timeout` in seconds, for each call."""
        self._clock = clock
        self._links = RedisLinks(timeout, sources, writes=True)
        self._pools: dict[PoolKey, Pool] = {}
        self._told: dict[PoolKey, Told] = {}
        self._waiting: dict[_Where, _Waiting] = {}
        self._left_alone: dict[str, float] = {}

    def report(self, report: Report) -> None:
        """Note what is worth telling."""
        pool = report.pool
        before = self._pools.get(pool.key)
        if before is not None and _where(before) != _where(pool):
            self.forget(pool.key)  # it is told of on another Redis from now on
        self._pools[pool.key] = pool
        if self._left_alone.get(pool.redis.place, 0.0) > self._clock():
            return
        found = news(report, self._told.get(pool.key, NOTHING))
        self._told[pool.key] = found.told
        if found.record is None and found.entry is None:
            return
        waiting = self._waiting.setdefault(_where(pool), _Waiting(pool.key, pool.redis))
        if found.record is not None:
            waiting.json = wire.write_pool(found.record)
        if found.entry is not None:
            waiting.entries = [*waiting.entries, wire.write_history(found.entry)][-MOST_WAITING:]

    def forget(self, key: PoolKey) -> None:
        """The pool is gone, or scaled no more: take its record away; its history expires."""
        self._told.pop(key, None)
        pool = self._pools.pop(key, None)
        if pool is not None:
            self._waiting.setdefault(_where(pool), _Waiting(key, pool.redis)).json = GONE

    async def run(self) -> None:
        """Write what waits, each second, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits, to every Redis at once; of many pools those that have waited longest. Does not raise."""
        places: dict[tuple[str, str], list[_Waiting]] = {}
        for where in list(islice(self._waiting, MOST_AT_ONCE)):
            places.setdefault((where.place, where.namespace), []).append(self._waiting.pop(where))
        await asyncio.gather(*(self._write(namespace, ones) for (_, namespace), ones in places.items()))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._links.aclose()

    async def _write(self, namespace: str, pools: list[_Waiting]) -> None:
        source = pools[0].source
        fixed = [wire.Keys(namespace).prefix, str(wire.POOL_KEPT_MS), str(wire.MOST_HISTORY)]
        batches = [pools[at : at + POOLS_IN_A_SCRIPT] for at in range(0, len(pools), POOLS_IN_A_SCRIPT)]
        calls = [Call(_SCRIPT, [*fixed, *chain.from_iterable(it.arguments for it in batch)]) for batch in batches]
        try:
            link = await self._links.to(source)
            for answer in await link.run(calls):
                if isinstance(answer, QueueUnavailable):
                    raise answer
        except QueueUnavailable as error:
            self._leave_alone(source.place, pools, error)
        else:
            if self._left_alone.pop(source.place, None) is not None:
                log.info("Pools on %s are shown on the board again", link.endpoint)

    def _leave_alone(self, place: str, pools: Iterable[_Waiting], error: QueueUnavailable) -> None:
        if place not in self._left_alone:
            log.warning("Pools cannot be shown on the board for now, and are scaled all the same: %s", error)
        self._left_alone[place] = self._clock() + RETRY
        for one in pools:
            told = self._told.get(one.key)
            if told is not None:  # the same again, once it can be written; what happened until then is not known there
                self._told[one.key] = told._replace(record=told.record._replace(state=0))


def _where(pool: Pool) -> _Where:
    return _Where(pool.redis.place, pool.redis.namespace, wire.pool_name(*pool.key))
