"""The backlogs of pools, read from the keys that Dramatiq itself keeps in Redis, and what its runtime adds.

For a queue Q under a namespace (Dramatiq 2, `dramatiq/brokers/redis/dispatch.lua`): list `Q`, the ready ids; hash
`Q.msgs`, every ready and unacked message; hash `Q.DQ.msgs`, the delayed; sorted set `Q.XQ`, the dead. So
`Q.msgs` less the ready ones are in flight: prefetched or running, or left behind by a worker that was killed. Ready are
also those in Crewcall's lanes, `waiting:Q`; whether the queue is paused, and what waits for a limit, is told beside it.
Workers, orders, what they count and when delayed jobs are due are read by `redis_workers`, `redis_counters` and
`redis_delayed`, in the same round trip; only where a queue has delayed jobs for the first time, in one more.

One round trip for any number of pools on one Redis, in scripts of 100 queues each: longer ones would hold up the
server's other clients. Only reads: an ACL user needs no more than
`+eval_ro +llen +lindex +hlen +hstrlen +hget +zcard ~<namespace>:*`, `+select` for a database other than 0, and
`+eval` in place of `+eval_ro` on Redis 6; and for lanes, pauses, delayed jobs and workers
`+hgetall +hexists +hscan +zrange +zcount +zscore +time ~crewcall:<namespace>:*`. Without these it does not know what
workers there are, and no replica goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from itertools import chain

from crewcall_operator.adapters.redis_answers import understanding
from crewcall_operator.adapters.redis_counters import Counted, counted_queues, counter_calls, read_counters
from crewcall_operator.adapters.redis_delayed import NOTHING_DELAYED, Delayed, DelayedJobs
from crewcall_operator.adapters.redis_link import Call, RedisLink
from crewcall_operator.adapters.redis_links import RedisLinks
from crewcall_operator.adapters.redis_sources import URLS_ONLY, Sources
from crewcall_operator.adapters.redis_workers import Told, read_workers, worker_calls
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.errors import QueueUnavailable

QUEUES_IN_A_SCRIPT = 100

_TIME = "local time = redis.call('TIME') return time[1] * 1000 + math.floor(time[2] / 1000)"
_SCRIPT = (resources.files(__package__) / "read_queues.lua").read_text()


class RedisQueues:
    """Reads backlogs and workers; one connection for each Redis, opened when needed."""

    def __init__(self, wall_clock: Callable[[], float], timeout: float = 2.0, sources: Sources = URLS_ONLY) -> None:
        """`wall_clock` tells Unix time in seconds, as producers stamp their messages; `timeout` is in seconds."""
        self._wall_clock = wall_clock
        self._links = RedisLinks(timeout, sources, writes=False)
        self._delayed: dict[str, DelayedJobs] = {}
        self._seen: dict[PoolKey, set[str]] = defaultdict(set)

    async def read(
        self, pools: Sequence[Pool], horizons: Mapping[PoolKey, float] | None = None
    ) -> Mapping[PoolKey, Observation | QueueUnavailable]:
        """Look once at each of `pools`, all on one Redis. Answers for every pool, and does not raise.

        Delayed jobs are due soon where they are within the pool's horizon, in seconds.
        """
        if not pools:
            return {}
        (place,) = {pool.redis.place for pool in pools}
        try:
            link = await self._links.to(pools[0].redis)
            with understanding(link.endpoint):
                return await self._look(link, place, pools, horizons or {})
        except QueueUnavailable as unavailable:
            return {pool.key: unavailable for pool in pools}

    def forget(self, pool: Pool) -> None:
        """The pool is looked at no more: drop what is kept of its queues, unless another pool reads them too."""
        mine = self._seen.pop(pool.key, set())
        if delayed := self._delayed.get(pool.redis.place):
            delayed.forget(mine.difference(*self._seen.values()))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._links.aclose()

    async def _look(
        self, link: RedisLink, place: str, pools: Sequence[Pool], horizons: Mapping[PoolKey, float]
    ) -> Mapping[PoolKey, Observation | QueueUnavailable]:
        places = {key: where for pool in pools for key, where in _places(pool).items()}
        keys = list(places)
        batches = [keys[at : at + QUEUES_IN_A_SCRIPT] for at in range(0, len(keys), QUEUES_IN_A_SCRIPT)]
        delayed = self._delayed.setdefault(place, DelayedJobs())
        questions, about_workers = delayed.calls(pools, delayed.queues), worker_calls(pools)
        about_queues = [Call(_SCRIPT, list(chain.from_iterable(places[key] for key in batch))) for batch in batches]
        asked = counted_queues(pools)
        about_counters = counter_calls(pools, asked, horizons)
        time, *rest = await link.run([Call(_TIME, ()), *about_queues, *questions, *about_counters, *about_workers])
        answers, now = iter(rest), self._wall_clock()
        # Where its user may not ask for the time, the clocks have to agree.
        now_ms = int(now * 1000 if isinstance(time, QueueUnavailable) else time)
        looks: dict[str, str | QueueUnavailable] = {}
        for batch, answer in zip(batches, answers, strict=False):
            # Where a whole script was refused, its error stands for each of its keys.
            lines = [answer] * len(batch) if isinstance(answer, QueueUnavailable) else answer.split("\n")
            looks.update(zip(batch, lines, strict=True))
        due = delayed.understand(questions, [next(answers) for _ in questions], now_ms)
        counted = read_counters(asked, [next(answers) for _ in about_counters])
        told = read_workers(pools, list(answers), now_ms, link.refused)
        have_delayed = {key for key, look in looks.items() if _has_delayed(look)}
        if more := delayed.calls(pools, have_delayed - delayed.queues):
            due |= delayed.understand(more, await link.run(more), now_ms)
        delayed.queues = delayed.queues.difference(keys) | have_delayed
        return {pool.key: self._observe(pool, link, looks, due, counted, told[pool.key], now) for pool in pools}

    def _observe(
        self,
        pool: Pool,
        link: RedisLink,
        looks: Mapping[str, str | QueueUnavailable],
        due: Mapping[str, Delayed | str],
        counted: Mapping[tuple[PoolKey, str], Counted | str],
        told: Told,
        now: float,
    ) -> Observation | QueueUnavailable:
        states: list[QueueState] = []
        unread = list(told.unread)
        for queue, key in zip(pool.policy.queues, _places(pool), strict=True):
            look, delayed = looks[key], due.get(key, NOTHING_DELAYED)
            if isinstance(look, QueueUnavailable):
                return look
            if look.startswith("-"):
                return link.refused(key, look[1:])
            if isinstance(delayed, str):
                unread.append(delayed)
                delayed = NOTHING_DELAYED
            look, _, refused = look.partition("|")
            if refused:
                unread.append(f"lanes and pauses are not known: {link.refused(key, refused)}")
            state = self._state(pool.key, key, queue.name, look, now, delayed)
            match counted.get((pool.key, queue.name)):
                case Counted(counters, due_soon):
                    state = replace(state, counters=counters, due_soon=min(due_soon, state.delayed - state.due))
                case str(why):
                    unread.append(why)
            states.append(state)
        words = tuple(dict.fromkeys(unread))
        return Observation(
            tuple(states), told.workers, told.orders, words, told.is_known, pin=told.pin, knows_pin=told.knows_pin
        )

    def _state(self, pool: PoolKey, key: str, name: str, line: str, now: float, delayed_jobs: Delayed) -> QueueState:
        ready, held, delayed, dead, ready_at_ms, limited, is_paused = map(int, line.split())
        if ready or held or delayed or dead:
            self._seen[pool].add(key)
        return QueueState(
            name=name,
            ready=ready,
            in_flight=max(0, held - ready),
            delayed=delayed,
            dead=dead,
            oldest_ready_age=None if ready_at_ms < 0 else max(0.0, now - ready_at_ms / 1000),
            is_known=key in self._seen[pool],
            due=min(delayed, delayed_jobs.due),
            next_due_in=delayed_jobs.next_due_in if delayed else None,
            limited=min(ready, limited),
            is_paused=bool(is_paused),
        )


def _has_delayed(look: str | QueueUnavailable) -> bool:
    return isinstance(look, str) and not look.startswith("-") and look.split(" ")[2] != "0"


def _places(pool: Pool) -> dict[str, tuple[str, str]]:
    """Dramatiq's key of each of the pool's queues, with the namespace and the name that it is made of."""
    namespace = pool.redis.namespace
    return {f"{namespace}:{queue.name}": (namespace, queue.name) for queue in pool.policy.queues}
