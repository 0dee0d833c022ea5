"""What the operator tells of a pool, now and over the last hours, and what people wish of it by hand: the records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar

from crewcall_worker.wire.answers import text
from crewcall_worker.wire.workers import WIRE_VERSION, UnknownRecord

T = TypeVar("T")

SAMPLE_EVERY_MS: Final = 15_000
"""Time between two entries of a pool's history that are no decisions, at the least."""

MOST_HISTORY: Final = 2_000
"""About how many entries of a pool's history are kept: six hours of samples, and 560 decisions within them."""

POOL_KEPT_MS: Final = 86_400_000
"""For how long a pool that nobody tells of any more is remembered, ms: a day."""


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """A pool as the operator last told of it. Fields are None where it does not know, or its version does not tell.

    `queues` are in the order of the spec; `mode` is Auto, Recommend or Paused; `target` says in words what it is sized
    for. Of the replicas there shall be `desired` that work, `current` are asked for, `ready_replicas` able to work and
    `draining` on their way out. `reason` is the decision's word and `message` its sentence; where there is no decision,
    they tell why. A pool that is `pinned` to so many replicas is so by `pinned_by`: a name, or "spec.replicas".
    """

    pool: str
    queues: tuple[str, ...] = ()
    mode: str | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    target: str | None = None
    desired: int | None = None
    current: int | None = None
    ready_replicas: int | None = None
    draining: int | None = None
    reason: str | None = None
    message: str | None = None
    pinned: int | None = None
    pinned_by: str | None = None
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A pool at one moment (ms, Redis's clock); fields are None where that was not known, never zero for it.

    Of jobs there were `ready`, `in_flight` and `delayed`, the oldest that was ready had waited `oldest_ms`. Of replicas
    as in `PoolRecord`. An entry with a `reason` is a decision that moves the replicas from `current` to `desired`.
    """

    at_ms: int
    ready: int | None = None
    in_flight: int | None = None
    delayed: int | None = None
    oldest_ms: int | None = None
    desired: int | None = None
    current: int | None = None
    ready_replicas: int | None = None
    reason: str | None = None
    message: str | None = None

    @property
    def is_decision(self) -> bool:
        return self.reason is not None


#: What is written of each; the rest is told by where it is written, and when.
_OF_POOL: Final = tuple(it.name for it in fields(PoolRecord) if it.name not in ("pool", "at_ms"))
_OF_ENTRY: Final = tuple(it.name for it in fields(HistoryEntry) if it.name != "at_ms")


@dataclass(frozen=True, slots=True)
class Pin:
    """A pool held at so many replicas, whatever its load, until somebody removes the pin."""

    pool: str
    replicas: int
    by: str
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A worker that somebody asked to drain; `by` is empty where it is not told who."""

    worker: str
    by: str = ""
    at_ms: int | None = None


def write_pool(record: PoolRecord) -> str:
    """The record's JSON, the value of `pool:<pool>`; `at_ms` is added in Redis, by whose clock it is."""
    return _write(_known(record, _OF_POOL))


def read_pool(pool: str, text: str | bytes) -> PoolRecord:
    """The record behind the JSON. Raises `UnknownRecord` where it is of a newer version, or no record at all."""
    found = _read(f"pool {pool}", text)
    queues = found.get("queues")
    numbers = ("min_replicas", "max_replicas", "desired", "current", "ready_replicas", "draining", "pinned", "at_ms")
    words = ("mode", "target", "reason", "message", "pinned_by")
    told: dict[str, Any] = {name: _of(int, found.get(name)) for name in numbers}
    told |= {name: _of(str, found.get(name)) for name in words}
    names = tuple(name for name in queues if isinstance(name, str)) if isinstance(queues, list) else ()
    return PoolRecord(pool=pool, queues=names, **told)


def write_history(entry: HistoryEntry) -> dict[str, str]:
    """The fields of an entry of `history:<pool>`; its time is that of its id, which Redis gives."""
    return {"v": str(WIRE_VERSION), **{name: str(value) for name, value in _known(entry, _OF_ENTRY).items()}}


def read_history(id_: str | bytes, told: Mapping[Any, Any]) -> HistoryEntry:
    """The entry of that id and with those fields, texts or bytes. Raises `UnknownRecord`, as `read_pool` does."""
    words = {text(name): text(value) for name, value in told.items()}
    version = words.get("v", "")
    if not version.isdecimal():
        raise UnknownRecord(f"an entry of a pool's history has no version; expected v = {WIRE_VERSION}")
    _check(f"entry {text(id_)} of a pool's history", int(version))
    numbers = {field.name for field in fields(HistoryEntry)} - {"at_ms", "reason", "message"}
    return HistoryEntry(
        at_ms=int(text(id_).partition("-")[0]),
        reason=words.get("reason"),
        message=words.get("message"),
        **{name: int(words[name]) for name in numbers if words.get(name, "").isdecimal()},
    )


def write_pin(pin: Pin) -> str:
    """The pin's JSON, the value in `pins`; `at_ms` is added in Redis, by whose clock it is."""
    return _write({"replicas": pin.replicas, "by": pin.by})


def read_pin(pool: str, text: str | bytes) -> Pin:
    """The pin behind the JSON. Raises `UnknownRecord` where it is of a newer version, or tells no number."""
    found = _read(f"the pin of pool {pool}", text)
    replicas = _of(int, found.get("replicas"))
    if replicas is None or replicas < 0:
        raise UnknownRecord(f"the pin of pool {pool} is to {found.get('replicas')!r}; expected a number of replicas")
    return Pin(pool, replicas, _of(str, found.get("by")) or "", _of(int, found.get("at_ms")))


def write_asked(asked: Asked) -> str:
    """The JSON of the value in `asked:<pool>`; `at_ms` is added in Redis, by whose clock it is."""
    return _write({"by": asked.by})


def read_asked(worker: str, text: str | bytes) -> Asked:
    """Who asked the worker to drain. It was asked whatever is written there, so nothing is raised."""
    try:
        found = _read(f"worker {worker}", text)
    except UnknownRecord:
        return Asked(worker)
    return Asked(worker, _of(str, found.get("by")) or "", _of(int, found.get("at_ms")))


def _known(record: PoolRecord | HistoryEntry, names: Iterable[str]) -> dict[str, Any]:
    """Those of its fields that are known. Not `asdict`, which copies each value: thousands are written at once."""
    told = ((name, getattr(record, name)) for name in names)
    return {name: value for name, value in told if value is not None}


def _write(told: Mapping[str, Any]) -> str:
    return json.dumps({"v": WIRE_VERSION, **told}, separators=(",", ":"))


def _read(what: str, text: str | bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnknownRecord(f"{what}: the record is no JSON: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("v"), int):
        raise UnknownRecord(f"{what}: the record has no version; expected an object with v = {WIRE_VERSION}")
    _check(what, found["v"])
    return found


def _check(what: str, version: int) -> None:
    if version > WIRE_VERSION:
        raise UnknownRecord(f"{what}: the record is of version {version}; known is {WIRE_VERSION}. Update the reader.")


def _of(kind: type[T], value: object) -> T | None:
    return value if isinstance(value, kind) and not isinstance(value, bool) else None
