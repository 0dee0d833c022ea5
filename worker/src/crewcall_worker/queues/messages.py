"""A job as the message that carries it: its payload under "payload", and in the options what its queue has to know.

The payload goes there and back once before it is sent: what could not be read again when the job is run, or would be
another one then, never gets into a queue. At the run it is read anew, for producer and worker may be of different
versions by then. Fields are written by their names, and read by their names or aliases.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, TypeVar

from dramatiq.broker import MessageProxy
from dramatiq.message import Message
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json

from crewcall_worker.envelope import ordered_id
from crewcall_worker.job_message import JobMessage
from crewcall_worker.options import DEDUPE_FOR_MS, DEDUPE_KEY, ORGANIZATION, PRIORITY, RATE_KEY
from crewcall_worker.queues.job import JobType, Priority, Reject
from crewcall_worker.queues.payload import Payload
from crewcall_worker.settings import LARGEST_PAYLOAD
from crewcall_worker.wire import ENV_LARGEST_PAYLOAD

PAYLOAD = "payload"
DEFAULT_WINDOW = 300.0
"""Seconds for which a key that the caller gives holds, where the job type has no window of its own."""
MOST_PROBLEMS = 5

P = TypeVar("P", bound=Payload)


class InvalidPayload(Reject):
    """What a job carries is not what its type expects. The text names fields and what is wrong, never a value."""


def make_message(
    job: JobType[P],
    payload: P,
    *,
    priority: Priority | None = None,
    dedupe_key: str | None = None,
    largest: int = LARGEST_PAYLOAD,
) -> Message[Any]:
    """The message of a new job, ready for a broker. `largest`: so many bytes of JSON may the payload have.

    `priority` and `dedupe_key` stand in for what the job type says. Raises `TypeError` where the payload is of another
    model, `InvalidPayload` where it would not be understood at the run, or be another one, or is too large, and
    `ValueError` where a key is no text, or one of `dedupe` an empty one.
    """
    if not isinstance(payload, job.payload):
        raise TypeError(f"job {job.name!r} takes a {job.payload.__name__}, not a {type(payload).__name__}")
    text = _written(job, payload, largest)
    _compare(job, payload, read_payload(job, text))
    options: dict[str, Any] = {ORGANIZATION: payload.organization_id}
    chosen = job.priority if priority is None else priority
    if chosen is not Priority.NORMAL:
        options[PRIORITY] = int(chosen)
    key = job.dedupe.key(payload) if dedupe_key is None and job.dedupe else dedupe_key
    if key is not None:
        if key == "":
            raise ValueError("dedupe_key is ''; expected a text that is not empty, or None for a job like no other")
        options[DEDUPE_KEY] = _checked("dedupe_key", key)
        options[DEDUPE_FOR_MS] = round(1000 * (job.dedupe.window if job.dedupe else DEFAULT_WINDOW))
    if job.rate is not None:
        options[RATE_KEY] = _checked("the rate limit's key", job.rate.key(payload)) if job.rate.key else ""
    # An id in which the time is: jobs that became ready in one millisecond stay in their order, see `ordered_id`.
    id_ = ordered_id(time.time_ns(), secrets.randbits(62))
    return JobMessage(job.queue, job.name, (), {PAYLOAD: from_json(text)}, options, id_)


def read_payload(job: JobType[P], payload: str | bytes) -> P:
    """A payload in JSON as its job type's model. Raises `InvalidPayload`."""
    try:
        return job.payload.model_validate_json(payload, by_name=True, by_alias=True)
    except ValidationError as error:
        raise InvalidPayload(f"The payload of {job.name} is invalid: {_problems(error)}") from None


def payload_of(job: JobType[P], arguments: Mapping[str, Any]) -> P:
    """The payload in the arguments of a message. Raises `InvalidPayload`."""
    if set(arguments) != {PAYLOAD}:
        raise InvalidPayload(f"A message of {job.name} carries {sorted(arguments)}; expected one argument, {PAYLOAD!r}")
    return read_payload(job, json.dumps(arguments[PAYLOAD]))


def _written(job: JobType[P], payload: P, largest: int) -> str:
    try:
        text = payload.model_dump_json(round_trip=True)
    except PydanticSerializationError as error:
        raise InvalidPayload(f"The payload of {job.name} cannot be written as JSON: {error}") from None
    if (size := len(text.encode())) > largest:
        raise InvalidPayload(
            f"The payload of {job.name} has {size} bytes; expected at most {largest} ({ENV_LARGEST_PAYLOAD}). Store "
            "what is large elsewhere, and enqueue where it is"
        )
    return text


def _compare(job: JobType[P], given: P, read: P) -> None:
    """Raises `InvalidPayload` where what would be run with is not what was given."""
    now, then = vars(given), vars(read)
    if now == then:
        return
    # What is not even like itself is a number that is none; such a field would not have been read, or asks for it.
    changed = [
        name for name in type(read).model_fields if now.get(name) != then.get(name) and now.get(name) == now.get(name)
    ]
    if changed:
        raise InvalidPayload(
            f"The payload of {job.name} would not arrive as it is: {', '.join(changed)}. JSON has no secrets and no "
            "excluded fields, and in an Any only texts, numbers, lists and dicts; give it a type that comes back"
        )


def _checked(what: str, key: str) -> str:
    try:
        key.encode()
    except (AttributeError, UnicodeEncodeError):
        raise ValueError(f"{what} is {key!r}; expected a text that UTF-8 can write") from None
    return key


def attempts_of(message: Message[Any] | MessageProxy) -> int:
    """Which try it is: 1 at the first one."""
    retries = message.options.get("retries", 0)
    return 1 + (retries if isinstance(retries, int) else 0)


def _problems(error: ValidationError) -> str:
    told = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'all of it'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    more = f"; and {len(told) - MOST_PROBLEMS} more" if len(told) > MOST_PROBLEMS else ""
    return "; ".join(told[:MOST_PROBLEMS]) + more
