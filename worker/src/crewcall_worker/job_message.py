"""A message in a worker's memory: one that a worker can do something with, whoever has put it into the queue.

One that is malformed must not get further: what stumbles over it is a thread of Dramatiq's. A typed job's shows what it
is, never what it carries: Dramatiq puts messages into its log lines by `str`, arguments and all, and what a job carries
is often of persons.
"""

from __future__ import annotations

from typing import Any

from dramatiq.broker import MessageProxy
from dramatiq.encoder import JSONEncoder
from dramatiq.errors import DecodeError
from dramatiq.message import Message, get_encoder
from pydantic_core import PydanticSerializationError, to_json

from crewcall_worker.options import (
    DEDUPE_FOR_MS,
    DEDUPE_KEY,
    HURRY,
    ORGANIZATION,
    PRIORITY,
    PROMOTION,
    RATE_KEY,
    REVIVAL,
)
from crewcall_worker.wire import lane_of

_OF_AN_ENQUEUE = (HURRY, PROMOTION, REVIVAL, DEDUPE_KEY, DEDUPE_FOR_MS)
"""Options that tell how a message is to get into its queue: of one that is there they tell nothing."""


FAR = 2**63
"""Milliseconds; Redis counts no further."""


class JobMessage(Message[Any]):
    """A message with an organisation. It is copied and encoded as Dramatiq's, in a quarter of the time."""

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

    def encode(self) -> bytes:
        encoder = get_encoder()
        if type(encoder) is JSONEncoder:
            try:
                return to_json(self.asdict())
            except PydanticSerializationError:
                pass  # half a character, say: Dramatiq's writes that in ASCII, or tells what is wrong
        return encoder.encode(self.asdict())

    def copy(self, **attributes: Any) -> JobMessage:
        made = object.__new__(JobMessage)  # past the __init__ of a frozen dataclass, which takes most of the time
        fields = vars(made)
        fields |= vars(self)
        fields |= attributes
        fields["args"] = tuple(fields["args"])
        fields["options"] = {**self.options, **attributes.get("options", {})}
        return made

    def __str__(self) -> str:
        return f"{self.actor_name}({self.message_id})"

    __repr__ = __str__


class Delivery(MessageProxy):
    """A message that was fetched, as Dramatiq hands it about: what it has is at hand, and not looked up at each
    question. There are some forty for each job."""

    def __init__(self, message: Message[Any]) -> None:
        super().__init__(message)
        vars(self).update(vars(message))


def decode(data: bytes) -> Message[Any]:
    """What Redis holds, as a message. Raises `dramatiq.DecodeError`, which says what is wrong, not what it carries."""
    try:
        message: Message[Any] = Message.decode(data)
    except DecodeError as error:
        raise DecodeError(f"it is no message ({type(error.error).__name__})", data, error.error) from None
    if problem := _problem(message):
        raise DecodeError(f"it is no message: {problem}", data, None)
    for name in _OF_AN_ENQUEUE:
        message.options.pop(name, None)
    return JobMessage(**message.asdict()) if ORGANIZATION in message.options else message


def _problem(message: Message[Any]) -> str:
    """What is wrong, in words; an empty text where nothing is."""
    options = message.options
    for name, value, kind, expected in (
        *((name, word, str, "a text") for name, word in _words(message)),
        ("kwargs", message.kwargs, dict, "an object"),
        ("options", options, dict, "an object"),
    ):
        if not isinstance(value, kind):
            return f"its {name} is {_kind(value)}; expected {expected}"
    for name, time in (("message_timestamp", message.message_timestamp), ("eta", options.get("eta", 0))):
        if not isinstance(time, int | float):
            return f"its {name} is {_kind(time)}; expected a number"
        if not abs(time) < FAR:  # so is a NaN
            return f"its {name} is no time that a clock could show; expected a number of ms"
    try:
        lane_of(options.get(PRIORITY), options.get(ORGANIZATION))
    except ValueError as error:
        return f"its {error}"
    for name, word in (
        *_words(message),
        (ORGANIZATION, options.get(ORGANIZATION)),
        (RATE_KEY, options.get(RATE_KEY)),
    ):
        if isinstance(word, str) and not _is_text(word):
            return f"its {name} has half a character, which no key of Redis can hold"
    return ""


def _words(message: Message[Any]) -> tuple[tuple[str, str], ...]:
    return (
        ("queue_name", message.queue_name),
        ("actor_name", message.actor_name),
        ("message_id", message.message_id),
    )


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:  # JSON can name one half of a character that takes two, as "\ud800"
        return False
    return True


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__
