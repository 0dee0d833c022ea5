"""What is in a queue, for people: its jobs by state, page by page, and one job by its id.

Reads only. A page costs Redis a page, however much there is: no KEYS, no walk through a queue. What a filter leaves out
has to be read all the same, so a page with one ends after `MOST_READ` jobs, with a cursor to go on from, and may be
empty. Jobs move while one looks: each page is of its moment.

Every call may raise `redis.RedisError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from crewcall_worker import wire
from crewcall_worker.queues import counts
from crewcall_worker.queues.counts import QueueCounts
from crewcall_worker.queues.job_view import JobState, JobView, view_of, whole
from crewcall_worker.queues.organizations import DAY_MS, OrganizationCounts, busiest, read_organization
from crewcall_worker.redis_clock import asked_ms
from crewcall_worker.wire import read_lane

__all__ = [
    "ANY",
    "MOST_ON_A_PAGE",
    "Filter",
    "JobState",
    "JobView",
    "LaneView",
    "OrganizationCounts",
    "Page",
    "QueueCounts",
    "Views",
    "view_of",
]

MOST_ON_A_PAGE = 200
MOST_READ = 250
"""Jobs that one page with a filter looks at."""
CHUNK = 100
CURSORS = re.compile(r"(?:\d+/)?(?:\d{0,15}|-?\d[\d.e+]* .+)", re.DOTALL)
"""What pages have told, see `lua/page.lua`."""
RETRIES_AT_ONCE = 100
RETRIES_LOOKED_FOR = 1_000
"""A retry is another message in Redis, whose id says which one it is: so many are tried."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs of a queue; with `cursor` one asks for those behind them, None where there are no more."""

    jobs: tuple[JobView, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class LaneView:
    """Jobs of one organisation ("" for none) and priority that are ready. `is_limited`: as many of its jobs as may be
    are in flight, so these wait for one of them to end."""

    priority: int
    organization_id: str
    ready: int
    is_limited: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """What a job is to be like; None for whatever. `error` is a part of the error or the reason of death, in any case
    of letters; `has_failed`: it was tried before."""

    job: str | None = None
    organization_id: str | None = None
    error: str | None = None
    has_failed: bool | None = None

    @property
    def is_empty(self) -> bool:
        return self == ANY

    def takes(self, view: JobView) -> bool:
        """Whether the job is like that."""
        if self.job is not None and view.job != self.job:
            return False
        if self.organization_id is not None and view.organization_id != self.organization_id:
            return False
        if self.has_failed is not None and (view.attempt > 1) != self.has_failed:
            return False
        if self.error is None:
            return True
        return self.error.lower() in f"{view.death or ''} {view.error or ''}".lower()


ANY = Filter()


class Views:
    """The views of one Dramatiq namespace, by a client of one's own.

    `show` makes of each job what may be seen of it, before any filter looks at it.
    """

    def __init__(
        self, client: redis.Redis, namespace: str = "dramatiq", show: Callable[[JobView], JobView] = whole
    ) -> None:
        self._client = client
        self._show = show
        self._keys = wire.Keys(namespace)
        self._page = client.register_script(wire.script("page"))
        self._find = client.register_script(wire.script("find"))

    def queues(self) -> tuple[str, ...]:
        """Every queue that the runtime has seen, by name."""
        return tuple(sorted(wire.text(name) for name in self._client.smembers(self._keys.queues)))

    def counts(self, queue: str) -> QueueCounts:
        """How many jobs there are in each state."""
        with self._client.pipeline(transaction=True) as pipeline:
            counts.ask(pipeline, self._keys, queue)
            pipeline.hexists(self._keys.paused, queue)
            *answers, is_paused = pipeline.execute()
        return counts.read(queue, answers, is_paused=bool(is_paused))

    def lanes(self, queue: str, first: int = 0, most: int = MOST_ON_A_PAGE) -> tuple[LaneView, ...]:
        """The lanes that are not empty, from the `first`-th on: in the order of their turns, then those at a limit."""
        keys = self._keys
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.zrange(keys.lanes(queue), first, first + most - 1)
            pipeline.zcard(keys.lanes(queue))
            taking, count = pipeline.execute()
        after = max(0, first - count)
        room = most - len(taking)
        limited: list[Any] = self._client.zrange(keys.full(queue), after, after + room - 1) if room else []
        names = [wire.text(name) for name in (*taking, *limited)]
        with self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.llen(keys.lane(queue, name))
            lengths = pipeline.execute()
        return tuple(
            LaneView(read_lane(name).priority, read_lane(name).organization, length, is_limited=place >= len(taking))
            for place, (name, length) in enumerate(zip(names, lengths, strict=True))
            if length
        )

    def page(
        self, queue: str, state: JobState, *, cursor: str | None = None, limit: int = 50, like: Filter = ANY
    ) -> Page:
        """Up to `limit` jobs: ready ones in the order of the head and then by age, running ones the longest first,
        delayed ones by when they are due, completed and dead ones the last first.

        Raises `ValueError` for FETCHED: those have no order; and for a cursor that no page has told.
        """
        if state is JobState.FETCHED:
            raise ValueError("state is fetched; expected one of ready, running, delayed, completed, dead")
        if cursor and not CURSORS.fullmatch(cursor):
            raise ValueError(f"cursor is {cursor!r}; expected what an earlier page has told")
        wanted = max(1, min(limit, MOST_ON_A_PAGE))
        found: list[JobView] = []
        place, read = cursor or "", 0
        while len(found) < wanted and read < MOST_READ:
            # No more than are wanted still: the cursor is behind all that were read.
            size = min(wanted - len(found), CHUNK)
            views, place = self._read(queue, state, place, size, like)
            read += size
            found += [view for view in views if like.takes(view)]
            if not place:
                break
        return Page(tuple(found), place or None)

    def find(self, job_id: str, *queues: str, retries: int = RETRIES_LOOKED_FOR) -> JobView | None:
        """The job with this id, in the queues that are named or in all; None where nothing is kept of it.

        It may be at any of its first `retries` retries, to the next hundred; each hundred is a look into each queue.
        """
        for first in range(0, retries, RETRIES_AT_ONCE):
            last = first + RETRIES_AT_ONCE - 1
            if answer := self._find(args=[self._keys.namespace, job_id, first, last, *queues]):
                state, queue, *job = answer
                return self._shown(wire.text(queue), wire.text(state), *job)
        return None

    def organization(self, organization_id: str, days_ago: int = 0) -> tuple[OrganizationCounts, ...]:
        """What an organisation's jobs came to today, or so many days ago, by queue."""
        return read_organization(self._client, self._keys, organization_id, self._today() - days_ago)

    def busiest(self, days_ago: int = 0, most: int = 100) -> tuple[tuple[str, int], ...]:
        """Organisations and how many of their jobs were over on that day, most of them first."""
        return tuple(busiest(self._client, self._keys, self._today() - days_ago, most))

    def _today(self) -> int:
        return asked_ms(self._client) // DAY_MS

    def _read(self, queue: str, state: JobState, place: str, size: int, like: Filter) -> tuple[list[JobView], str]:
        organization = like.organization_id or "" if state is JobState.READY else ""
        answer = self._page(args=[self._keys.namespace, queue, state, place, size, organization])
        following, *rest = answer
        views = [self._shown(queue, state, *rest[at : at + 4]) for at in range(0, len(rest), 4)]
        return views, wire.text(following)

    def _shown(self, queue: str, state: str, id_: bytes, message: bytes, at: bytes, worker: bytes) -> JobView:
        known = view_of(queue, JobState(state), wire.text(id_), message, _time(at), wire.text(worker) or None)
        return self._show(known)


def _time(value: str | bytes) -> float | None:
    return float(value) if value else None
