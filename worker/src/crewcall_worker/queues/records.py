"""Jobs that are done, kept for a while: which job, whose, what it carried, when it ran and where.

Of typed jobs alone, those with an organisation. They are gathered in memory and written by the hundred once a second,
off the jobs' threads. While Redis is away no more is gathered than Redis would keep. Who was killed takes at most a
second of records with him: the jobs are done all the same.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import Any

import redis
from dramatiq.message import Message

from crewcall_worker import wire
from crewcall_worker.options import ORGANIZATION, REDIS_ID
from crewcall_worker.retention import Retention

VERSION = 1
LARGEST_KEPT = 8_192
"""Characters of JSON, of a payload; of a larger one a record has the size alone."""
AT_ONCE = 100
LEFT_OUT = ("traceback", REDIS_ID, "requeue_timestamp")


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that is done, as it comes off its thread. Times by Redis's clock in ms."""

    message: Message[Any]
    began_ms: int
    ended_ms: int
    worker: str


@dataclass(frozen=True, slots=True)
class Record:
    """A job that was done, as Redis has it. `payload_size` is told where the payload is not kept, for it is too large;
    it is 0 where JSON cannot hold it."""

    message: Message[Any]
    began_ms: int
    ended_ms: int
    worker: str
    payload_size: int | None


class Records:
    """Those of one worker that are not written yet. `add` is for its threads, `write` for one other."""

    def __init__(self, client: redis.Redis, keys: wire.Keys, retention: Retention) -> None:
        self._keys = keys
        self._retention = retention
        self._client = client
        self._script = client.register_script(wire.script("record"))
        self._waiting: dict[str, deque[Finished]] = {}

    def add(self, queue: str, done: Finished) -> None:
        """Gather one; the oldest of its queue goes where there are as many as are kept."""
        waiting = self._waiting.get(queue)
        if waiting is None:
            waiting = self._waiting.setdefault(queue, deque(maxlen=self._retention.completed_most))
        waiting.append(done)

    def write(self) -> None:
        """Write what was gathered. Raises `redis.RedisError`; then the rest is there still."""
        for queue, waiting in list(self._waiting.items()):
            while waiting:
                batch = [waiting.popleft() for _ in range(min(AT_ONCE, len(waiting)))]
                try:
                    self._write(queue, batch)
                except redis.RedisError:
                    room = self._retention.completed_most - len(waiting)
                    waiting.extendleft(reversed(batch[max(0, len(batch) - room) :]))
                    raise

    def _write(self, queue: str, batch: list[Finished]) -> None:
        arguments: list[str | int] = [round(self._retention.completed_for * 1000), self._retention.completed_most]
        for done in batch:
            arguments += [done.message.message_id, done.ended_ms, write_record(done)]
        keys = self._keys
        self._script(keys=[keys.completed(queue), keys.records(queue), keys.stats(queue)], args=arguments)


def write_record(done: Finished) -> str:
    """The JSON in `records:<queue>`."""
    fields = done.message.asdict()
    fields["options"] = {name: value for name, value in fields["options"].items() if name not in LEFT_OUT}
    record: dict[str, Any] = {"v": VERSION, "began_ms": done.began_ms, "ended_ms": done.ended_ms, "worker": done.worker}
    bare: dict[str, Any] = {"args": (), "kwargs": {}}
    try:
        size = len(_json([fields["args"], fields["kwargs"]]))
        if size > LARGEST_KEPT:
            return _json({**record, "payload_size": size, "message": fields | bare})
        return _json({**record, "message": fields})
    except (TypeError, ValueError, RecursionError):
        # Another encoder's, such as a pickle: with keys that are no texts, say, or in a circle.
        bare["options"] = {ORGANIZATION: done.message.options.get(ORGANIZATION)}
        return _json({**record, "payload_size": 0, "message": fields | bare})


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def read_record(text: str | bytes) -> Record:
    """A record from its JSON. Raises `ValueError` where it is none, or of a newer version."""
    try:
        fields = json.loads(text)
        if fields["v"] != VERSION:
            raise ValueError(f"it is of version {fields['v']}; known is {VERSION}")
        return Record(
            Message(**fields["message"]),
            fields["began_ms"],
            fields["ended_ms"],
            fields["worker"],
            fields.get("payload_size"),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no record of a job: {error!r}") from error
