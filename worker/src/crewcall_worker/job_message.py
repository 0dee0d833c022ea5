"""A typed job's message in a worker's memory: one that shows what it is, never what it carries.

Dramatiq puts messages into its log lines by `str`, arguments and all. What a job carries is often of persons.
"""

from __future__ import annotations

from typing import Any

from dramatiq.message import Message

from crewcall_worker.options import ORGANIZATION


class JobMessage(Message[Any]):
    """A message with an organisation. It is copied and encoded as Dramatiq's, without a look at each field's name."""

    def asdict(self) -> dict[str, Any]:
        return {
            "queue_name": self.queue_name,
            "actor_name": self.actor_name,
            "args": self.args,
            "kwargs": self.kwargs,
            "options": self.options,
            "message_id": self.message_id,
            "message_timestamp": self.message_timestamp,
        }

    def copy(self, **attributes: Any) -> JobMessage:
        options = {**self.options, **attributes.pop("options", {})}
        return JobMessage(**{**self.asdict(), **attributes, "options": options})

    def __str__(self) -> str:
        return f"{self.actor_name}({self.message_id})"

    __repr__ = __str__


def decode(data: bytes) -> Message[Any]:
    """What Redis holds, as a message. Raises `dramatiq.DecodeError`."""
    message: Message[Any] = Message.decode(data)
    return JobMessage(**message.asdict()) if ORGANIZATION in message.options else message
