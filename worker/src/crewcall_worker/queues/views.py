"""What is in a queue, for people: its jobs by state, page by page, and one job by its id.

Reads only. A page costs Redis a page, however much there is: no KEYS, no walk through a queue. What a filter leaves out
has to be read all the same, so a page with one ends after `MOST_READ` jobs, with a cursor to go on from, and may be
empty. Jobs move while one looks: each page is of its moment.

Every call may raise `redis.RedisError`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis
from dramatiq.errors import DecodeError
from dramatiq.message import Message

from crewcall_worker import wire
from crewcall_worker.options import DEATH, ERROR, ORGANIZATION, PRIORITY
from crewcall_worker.queues.failures import KILLED, Death
from crewcall_worker.queues.messages import PAYLOAD, attempts_of
from crewcall_worker.queues.organizations import OrganizationCounts, busiest, read_organization
from crewcall_worker.queues.records import read_record
from crewcall_worker.wire.lanes import NORMAL, read_lane

MOST_ON_A_PAGE = 200
MOST_READ = 1_000
"""Jobs that one page with a filter looks at."""
CHUNK = 100
RETRIES_LOOKED_FOR = 30


class JobState(StrEnum):
    """Where a job stands. FETCHED: with a worker that has not begun it; told by `find` alone."""

    READY = "ready"
    FETCHED = "fetched"
    RUNNING = "running"
    DELAYED = "delayed"
    COMPLETED = "completed"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class JobView:
    """One job. Times in ms of Redis's clock; None where it is not known.

    `at_ms` is what its state asks for: since when it is ready or runs, when it is due, was done or died. `payload` is
    that of a typed job, or a plain message's arguments; None where `is_cut`: it is too large to show. `message_id` is
    its id in Redis, which differs from try to try.
    """

    id: str
    message_id: str
    state: JobState
    queue: str
    job: str = ""
    organization_id: str | None = None
    priority: int = NORMAL
    attempt: int = 1
    payload: Any = None
    is_cut: bool = False
    enqueued_ms: int | None = None
    at_ms: int | None = None
    took_ms: int | None = None
    worker: str | None = None
    death: str | None = None
    error: str | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs of a queue; with `cursor` one asks for those behind them, None where there are no more."""

    jobs: tuple[JobView, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How many jobs of a queue are in each state. `in_flight`: with workers, begun or not, the running ones included.
    `delayed_unlisted` ones are plain producers': they are counted, and on no page."""

    queue: str
    ready: int
    in_flight: int
    running: int
    delayed: int
    delayed_unlisted: int
    completed: int
    dead: int
    is_paused: bool


@dataclass(frozen=True, slots=True)
class LaneView:
    """Jobs of one organisation ("" for none) and priority that are ready."""

    priority: int
    organization_id: str
    ready: int


@dataclass(frozen=True, slots=True)
class Filter:
    """What a job is to be like; None for whatever. `error` is a part of the error or the reason of death, in any case
    of letters."""

    job: str | None = None
    organization_id: str | None = None
    error: str | None = None

    @property
    def is_empty(self) -> bool:
        return self.job is None and self.organization_id is None and self.error is None

    def takes(self, view: JobView) -> bool:
        """Whether the job is like that."""
        if self.job is not None and view.job != self.job:
            return False
        if self.organization_id is not None and view.organization_id != self.organization_id:
            return False
        if self.error is None:
            return True
        return self.error.lower() in f"{view.death or ''} {view.error or ''}".lower()


ANY = Filter()


class Views:
    """The views of one Dramatiq namespace, by a client of one's own."""

    def __init__(self, client: redis.Redis, namespace: str = "dramatiq") -> None:
        self._client = client
        self._keys = wire.Keys(namespace)
        self._page = client.register_script(wire.script("page"))
        self._find = client.register_script(wire.script("find"))

    def queues(self) -> tuple[str, ...]:
        """Every queue that the runtime has seen, by name."""
        return tuple(sorted(_text(name) for name in self._client.smembers(self._keys.queues)))

    def counts(self, queue: str) -> QueueCounts:
        """How many jobs there are in each state."""
        keys = self._keys
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.llen(keys.ready(queue))
            pipeline.zcard(keys.waiting(queue))
            pipeline.hlen(keys.messages(queue))
            pipeline.zcard(keys.running(queue))
            pipeline.hlen(keys.messages(queue + wire.DELAYED))
            pipeline.zcard(keys.eta(queue))
            pipeline.zcard(keys.completed(queue))
            pipeline.zcard(keys.dead(queue))
            pipeline.hexists(keys.paused, queue)
            listed, waiting, held, running, delayed, indexed, completed, dead, is_paused = pipeline.execute()
        in_flight = max(0, held - listed - waiting)
        return QueueCounts(
            queue=queue,
            ready=listed + waiting,
            in_flight=in_flight,
            running=min(running, in_flight),
            delayed=delayed,
            delayed_unlisted=max(0, delayed - indexed),
            completed=completed,
            dead=dead,
            is_paused=bool(is_paused),
        )

    def lanes(self, queue: str, first: int = 0, most: int = MOST_ON_A_PAGE) -> tuple[LaneView, ...]:
        """The lanes that are not empty, in the order of their turns, from the `first`-th on; last, those at a limit."""
        names: list[str] = []
        for key in (self._keys.lanes(queue), self._keys.full(queue)):
            if len(names) < most:
                found: Any = self._client.zrange(key, first, first + most - len(names) - 1)
                names += [_text(name) for name in found]
                first = max(0, first - self._client.zcard(key))
        with self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.llen(self._keys.lane(queue, name))
            counts = pipeline.execute()
        lanes = [(read_lane(name), count) for name, count in zip(names, counts, strict=True) if count]
        return tuple(LaneView(lane.priority, lane.organization, count) for lane, count in lanes)

    def page(
        self, queue: str, state: JobState, *, cursor: str | None = None, limit: int = 50, like: Filter = ANY
    ) -> Page:
        """Up to `limit` jobs: ready ones in the order of the head and then by age, running ones the longest first,
        delayed ones by when they are due, completed and dead ones the last first.

        Raises `ValueError` for FETCHED: those have no order.
        """
        if state is JobState.FETCHED:
            raise ValueError("state is fetched; expected one of ready, running, delayed, completed, dead")
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

    def find(self, job_id: str, *queues: str) -> JobView | None:
        """The job with this id, in the queues that are named or in all; None where nothing is kept of it."""
        answer = self._find(args=[self._keys.namespace, job_id, RETRIES_LOOKED_FOR, *queues])
        if not answer:
            return None
        state, queue, id_, text, at, worker = answer
        return _view(_text(queue), JobState(_text(state)), _text(id_), text, _text(at), _text(worker))

    def organization(self, organization_id: str, days_ago: int = 0) -> tuple[OrganizationCounts, ...]:
        """What an organisation's jobs came to today, or so many days ago, by queue."""
        return read_organization(self._client, self._keys, organization_id, self._today() - days_ago)

    def busiest(self, days_ago: int = 0, most: int = 100) -> tuple[tuple[str, int], ...]:
        """Organisations and how many of their jobs were over on that day, most of them first."""
        return tuple(busiest(self._client, self._keys, self._today() - days_ago, most))

    def _today(self) -> int:
        seconds, _ = self._client.time()
        return int(seconds // 86_400)

    def _read(self, queue: str, state: JobState, place: str, size: int, like: Filter) -> tuple[list[JobView], str]:
        organization = like.organization_id or "" if state is JobState.READY else ""
        answer = self._page(args=[self._keys.namespace, queue, state, place, size, organization])
        following, *rest = answer
        views = [
            _view(queue, state, _text(rest[at]), rest[at + 1], _text(rest[at + 2]), _text(rest[at + 3]))
            for at in range(0, len(rest), 4)
        ]
        return views, _text(following)


def view_of(queue: str, state: JobState, message_id: str, text: bytes | str, at_ms: float | None = None) -> JobView:
    """The view of a message's text, or of a completed job's record."""
    return _view(queue, state, message_id, text, "" if at_ms is None else str(at_ms), "")


def _view(queue: str, state: JobState, message_id: str, text: bytes | str, at: str, worker: str) -> JobView:
    read: Callable[..., JobView] = _view_of_record if state is JobState.COMPLETED else _view_of_message
    try:
        return read(queue, state, message_id, text, int(float(at)) if at else None, worker or None)
    except (ValueError, TypeError, DecodeError):
        # Too large, or another encoder's: that there is something is told all the same.
        return JobView(
            id=message_id,
            message_id=message_id,
            state=state,
            queue=queue,
            is_cut=True,
            at_ms=int(float(at)) if at else None,
            worker=worker or None,
        )


def _view_of_record(
    queue: str, state: JobState, message_id: str, text: bytes | str, at_ms: int | None, worker: str | None
) -> JobView:
    del worker
    record = read_record(text)
    return _of(
        record.message,
        queue,
        state,
        message_id,
        is_cut=record.payload_size is not None,
        at_ms=at_ms or record.ended_ms,
        took_ms=record.ended_ms - record.began_ms,
        worker=record.worker,
    )


def _view_of_message(
    queue: str, state: JobState, message_id: str, text: bytes | str, at_ms: int | None, worker: str | None
) -> JobView:
    message: Message[Any] = Message.decode(text.encode() if isinstance(text, str) else text)
    told = message.options.get(wire.READY_AT)
    ready_ms = told if isinstance(told, int) else message.message_timestamp
    is_waiting = state in {JobState.READY, JobState.FETCHED}
    return _of(
        message, queue, state, message_id, at_ms=ready_ms if at_ms is None and is_waiting else at_ms, worker=worker
    )


def _of(message: Message[Any], queue: str, state: JobState, message_id: str, **rest: Any) -> JobView:
    options = message.options
    killed = _maybe(options.get(KILLED))
    is_typed = set(message.kwargs) == {PAYLOAD} and not message.args
    payload = message.kwargs[PAYLOAD] if is_typed else {"args": list(message.args), "kwargs": message.kwargs}
    return JobView(
        id=message.message_id,
        message_id=message_id,
        state=state,
        queue=queue,
        job=message.actor_name,
        organization_id=_maybe(options.get(ORGANIZATION)),
        priority=options[PRIORITY] if isinstance(options.get(PRIORITY), int) else NORMAL,
        attempt=attempts_of(message),
        payload=None if rest.get("is_cut") else _shown(payload),
        enqueued_ms=message.message_timestamp,
        death=Death.KILLED_WORKERS if killed else _maybe(options.get(DEATH)),
        error=killed or _maybe(options.get(ERROR)),
        traceback=_maybe(options.get("traceback")),
        **rest,
    )


def _shown(payload: Any) -> Any:
    """As JSON would have it: a plain message of another encoder may carry anything."""
    return json.loads(json.dumps(payload, default=repr))


def _maybe(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
