"""What a worker tells of itself and what it is asked, and how long it may be silent before it is taken for dead."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final, TypeVar

T = TypeVar("T")

WIRE_VERSION: Final = 1

BEAT_EVERY: Final = 1.0
"""Seconds between two records of a worker, if nothing changes."""

HEARTBEAT_AHEAD_MS: Final = 600_000
"""How far ahead a worker's heartbeat is written. With any of their commands, by chance, plain producers and workers
take whoever was silent for 60 s for dead: an outage of Redis that is shorter than the two together kills nobody."""

LAPSED_AFTER_MS: Final = 30_000
"""A worker whose record is older than this is taken for dead, unless nobody could write for that long. A default."""

MOST_KILLS: Final = 3
"""How many workers a message may kill before it becomes a dead letter. A default."""

FENCED_FOR_MS: Final = 86_400_000
"""How long a worker that was declared dead can find that out."""


class Order(StrEnum):
    """What a pod is asked to do."""

    RUN = "run"
    DRAIN = "drain"


class WorkerState(StrEnum):
    """How a worker stands to new work. `DRAINED`: it holds no message of any queue."""

    RUNNING = "running"
    DRAINING = "draining"
    DRAINED = "drained"


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """One worker, as it tells of itself. Times in ms of Redis's clock; None where its version does not tell.

    `threads` is how many jobs it can run at once, `busy` how many it runs, `prefetched` how many more it holds
    (delayed ones not counted), `oldest_ms` when the longest-running of them began (None as well where none runs).
    `host_started_ms` is when its process began, which it keeps when it is fenced and registers anew. `process` tells
    which one that is, to those who can see it: see `crewcall_worker.process`. `stalled` is how many of the jobs that it
    runs have taken longer than their type expects; None as well where none has.
    """

    worker: str
    state: WorkerState | None = None
    pod: str | None = None
    host_started_ms: int | None = None
    threads: int | None = None
    busy: int | None = None
    prefetched: int | None = None
    oldest_ms: int | None = None
    queues: tuple[str, ...] | None = None
    at_ms: int | None = None
    process: str | None = None
    stalled: int | None = None


class UnknownRecord(ValueError):
    """A record that this version cannot read; while it is there, no replica of its pool goes. The text says why."""


def write_worker(record: WorkerRecord) -> str:
    """The record's JSON, the value in `workers:<pool>`; `at_ms` is added in Redis, by whose clock it is."""
    fields = {name: value for name, value in asdict(record).items() if value is not None and name != "worker"}
    return json.dumps({"v": WIRE_VERSION, **fields}, separators=(",", ":"))


def read_worker(worker: str, text: str | bytes) -> WorkerRecord:
    """The record behind the JSON. Raises `UnknownRecord` where it is of a newer version, or no record at all."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnknownRecord(f"worker {worker}: its record is no JSON: {error}") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("v"), int):
        raise UnknownRecord(f"worker {worker}: its record has no version; expected an object with v = {WIRE_VERSION}")
    if fields["v"] > WIRE_VERSION:
        raise UnknownRecord(
            f"worker {worker}: its record is of version {fields['v']}; known is {WIRE_VERSION}. Update the reader."
        )
    queues = fields.get("queues")
    return WorkerRecord(
        worker=worker,
        state=_state(fields.get("state")),
        pod=_of(str, fields.get("pod")),
        host_started_ms=_of(int, fields.get("host_started_ms")),
        threads=_of(int, fields.get("threads")),
        busy=_of(int, fields.get("busy")),
        prefetched=_of(int, fields.get("prefetched")),
        oldest_ms=_of(int, fields.get("oldest_ms")),
        queues=tuple(name for name in queues if isinstance(name, str)) if isinstance(queues, list) else None,
        at_ms=_of(int, fields.get("at_ms")),
        process=_of(str, fields.get("process")),
        stalled=_of(int, fields.get("stalled")),
    )


def read_order(text: str | bytes | None) -> Order:
    """The order in `orders:<pool>`; anything but "drain" lets the worker work."""
    word = text.decode(errors="replace") if isinstance(text, bytes) else text
    return Order.DRAIN if word == Order.DRAIN else Order.RUN


def _state(word: object) -> WorkerState | None:
    return next((state for state in WorkerState if state == word), None)


def _of(kind: type[T], value: object) -> T | None:
    return value if isinstance(value, kind) and not isinstance(value, bool) else None
