"""One job as people see it, made of what Redis has of it: a message, or a completed job's record. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from dramatiq.errors import DecodeError
from dramatiq.message import Message

from crewcall_worker import job_message, wire
from crewcall_worker.options import DEATH, ERROR, KILLED, ORGANIZATION, PRIORITY, REDIS_ID
from crewcall_worker.plain import encodable
from crewcall_worker.queues.failures import Death
from crewcall_worker.queues.messages import PAYLOAD, attempts_of
from crewcall_worker.queues.records import read_record
from crewcall_worker.wire import NORMAL

DEEPEST = 50
"""Levels of a payload that are shown."""


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
    that of a typed job, or a plain message's arguments; None where `is_cut`: it is too large to show, or no message.
    `message_id` is its id in Redis, which differs from try to try. `options` are those of the message that none of the
    other fields has.
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
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)


_TOLD: Final = frozenset({ORGANIZATION, PRIORITY, DEATH, ERROR, KILLED, "traceback", REDIS_ID})
"""Options that are fields of a view."""


def whole(view: JobView) -> JobView:
    """The view as it is: what is shown where nothing is kept from anybody."""
    return view


def view_of(
    queue: str,
    state: JobState,
    message_id: str,
    text: bytes | str,
    at_ms: float | None = None,
    worker: str | None = None,
) -> JobView:
    """The view of a message's text, or of a completed job's record."""
    read: Callable[..., JobView] = _view_of_record if state is JobState.COMPLETED else _view_of_message
    try:
        return read(queue, state, message_id, text, None if at_ms is None else int(at_ms), worker)
    except (ValueError, TypeError, AttributeError, RecursionError, DecodeError) as error:
        # Too large, another encoder's, or no message: that there is something is told all the same.
        is_none = state is JobState.DEAD and isinstance(error, DecodeError) and not _is_another_encoders(text)
        return JobView(
            id=message_id,
            message_id=message_id,
            state=state,
            queue=queue,
            is_cut=True,
            at_ms=None if at_ms is None else int(at_ms),
            worker=worker,
            death=Death.UNREADABLE if is_none else None,
            error=str(error) if is_none else None,
        )


def _is_another_encoders(text: bytes | str) -> bool:
    """Or it is too large, and was not read. A pickle begins with its PROTO (docs.python.org/3/library/pickletools)."""
    return not text or (isinstance(text, bytes) and text.startswith(b"\x80"))


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
    message = job_message.decode(text.encode() if isinstance(text, str) else text)
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
        id=_maybe(message.message_id) or message_id,
        message_id=message_id,
        state=state,
        queue=queue,
        job=_maybe(message.actor_name) or "",
        organization_id=_maybe(options.get(ORGANIZATION)),
        priority=options[PRIORITY] if isinstance(options.get(PRIORITY), int) else NORMAL,
        attempt=attempts_of(message),
        payload=None if rest.get("is_cut") else _shown(payload),
        enqueued_ms=message.message_timestamp if isinstance(message.message_timestamp, int) else None,
        death=Death.KILLED_WORKERS if killed else _maybe(options.get(DEATH)),
        error=killed or _maybe(options.get(ERROR)),
        traceback=_maybe(options.get("traceback")),
        options=_shown({name: value for name, value in options.items() if name not in _TOLD}),
        **rest,
    )


def _shown(payload: Any) -> Any:
    """As JSON would have it: a plain message of another encoder may carry anything."""
    return _cut(json.loads(json.dumps(payload, default=repr, ensure_ascii=False).encode(errors="replace")), DEEPEST)


def _cut(value: Any, depth: int) -> Any:
    """Without what is nested so deeply that neither people nor JSON's writers would follow."""
    if isinstance(value, dict | list) and depth == 0:
        return "…"
    if isinstance(value, dict):
        return {name: _cut(inner, depth - 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_cut(inner, depth - 1) for inner in value]
    return value


def _maybe(value: object) -> str | None:
    return encodable(value) if isinstance(value, str) else None
