"""A schedule as Redis has it: its definition, and the plan of its next tick. Pure.

Of both the text is what counts: whoever changes a schedule says which text he has seen. Everything that a tick's job
takes is in the definition, so that any worker can plan for any queue, whatever job types it knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from dramatiq.common import dq_name
from dramatiq.message import Message

from crewcall_worker import wire
from crewcall_worker.job_message import JobMessage
from crewcall_worker.options import ORGANIZATION, REDIS_ID, SCHEDULE, START_UNTIL
from crewcall_worker.queues.cron import following

VERSION = 1
NOT_LATE_MS = 10_000
"""A tick that nobody has planned for no longer than this is not missed: planning takes its time."""


class CatchUp(StrEnum):
    """What becomes of the ticks of a time in which no worker ran."""

    SKIP = "skip"
    """None of them is made up for; the one that was planned is not begun later than its `grace`."""
    ONCE = "once"
    """One job for all of them: the one that was planned, late."""
    ALL = "all"
    """A job for each, one after the other."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What is to be done when. `payload` and `options` are those of the message; `grace` in ms."""

    cron: str
    timezone: str
    catch_up: CatchUp
    grace_ms: int
    job: str
    queue: str
    payload: dict[str, Any]
    options: dict[str, Any]

    def write(self) -> str:
        """The JSON in `schedules`."""
        return json.dumps({"v": VERSION, **asdict(self)}, sort_keys=True, separators=(",", ":"))

    @property
    def organization_id(self) -> str:
        return str(self.options.get(ORGANIZATION, ""))

    def first(self, now_ms: int) -> int | None:
        """The first tick from now on; None where there is none. Raises `ValueError`, as `cron` does."""
        return following(self.cron, self.timezone, now_ms)

    def next(self, tick_ms: int, now_ms: int) -> int | None:
        """The tick to plan once `tick_ms` has passed. Raises `ValueError`, as `cron` does."""
        after = following(self.cron, self.timezone, tick_ms)
        if after is None or after > now_ms - NOT_LATE_MS or self.catch_up is CatchUp.ALL:
            return after
        return following(self.cron, self.timezone, now_ms)

    def message(self, name: str, tick_ms: int) -> Message[Any]:
        """The message of one tick. Whoever makes it makes the same."""
        # With all of the definition: a message that was withdrawn may be in a worker's memory under the old id.
        id_ = str(uuid5(NAMESPACE_URL, f"crewcall:{name}:{tick_ms}:{self.write()}"))
        times: dict[str, Any] = {"eta": tick_ms, wire.READY_AT: tick_ms}
        if self.catch_up is CatchUp.SKIP:
            after = following(self.cron, self.timezone, tick_ms)
            times[START_UNTIL] = tick_ms + min(self.grace_ms, self.grace_ms if after is None else after - tick_ms)
        options = {**self.options, **times, SCHEDULE: name, REDIS_ID: id_}
        return JobMessage(dq_name(self.queue), self.job, (), {"payload": self.payload}, options, id_, tick_ms)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a schedule stands: the tick that sits in its queue as the message `id`, and the one before it."""

    tick_ms: int
    queue: str
    id: str
    last_ms: int | None

    def write(self) -> str:
        """The JSON in `planned`."""
        return json.dumps({"v": VERSION, **asdict(self)}, sort_keys=True, separators=(",", ":"))


_OF_DEFINITION: Final = {
    **dict.fromkeys(("cron", "timezone", "catch_up", "job", "queue"), str),
    "grace_ms": int,
    "payload": dict,
    "options": dict,
}
_OF_PLAN: Final = {"tick_ms": int, "queue": str, "id": str, "last_ms": int | None}


def read_definition(text: str | bytes) -> Definition:
    """A definition from its JSON. Raises `ValueError` where it is none, or of a newer version."""
    fields = _fields(text, "schedule", _OF_DEFINITION)
    return Definition(**{**fields, "catch_up": CatchUp(fields["catch_up"])})


def read_plan(text: str | bytes) -> Plan:
    """A plan from its JSON. Raises `ValueError` where it is none, or of a newer version."""
    return Plan(**_fields(text, "plan of a schedule", _OF_PLAN))


def _fields(text: str | bytes, what: str, kinds: Mapping[str, Any]) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except RecursionError:
        raise ValueError(f"this is no {what}: it is nested too deeply") from None
    if not isinstance(fields, dict) or fields.get("v") != VERSION:
        raise ValueError(f"expected an object of version {VERSION}; is it written by a newer release?")
    if wrong := [name for name, kind in kinds.items() if not isinstance(fields.get(name), kind)]:
        raise ValueError(f"this is no {what}: {', '.join(wrong)} is missing, or not what it should be")
    return {name: fields.get(name) for name in kinds}
