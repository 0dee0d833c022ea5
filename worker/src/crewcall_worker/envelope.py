"""What a message tells of itself on its way into a queue: its id in Redis, where it comes from, and what it is like.

Told by its options; those that are for the way alone are taken off it. The way itself is the `outbox`'s.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from dramatiq import Message

from crewcall_worker import options, wire

BY_HAND = "."
"""In place of the worker that promotes a message."""


def ordered_id(now_ns: int, noise: int) -> str:
    """A UUID of version 7 (RFC 9562): those of one producer sort as they were made, to a quarter of a microsecond.

    By it a dead worker's jobs that became ready in one millisecond get back into their order.
    """
    milliseconds, rest = divmod(now_ns, 1_000_000)
    fraction = rest * 4096 // 1_000_000
    digits = f"{milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | noise:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def redis_id_of(message: Message[Any]) -> str:
    """A new one; but a typed job's is the job's id, and that of a retry says which one it is: by that it is found."""
    if options.ORGANIZATION not in message.options:
        return ordered_id(time.time_ns(), secrets.randbits(62))
    retries = message.options.get("retries")
    return f"{message.message_id}.{retries}" if retries else message.message_id


def origin_of(kept: dict[str, Any]) -> tuple[str, str]:
    """Who takes the message from where, and under which id; ("", "") for a new one. It is taken off its options."""
    if options.PROMOTION in kept:
        worker, id_ = kept.pop(options.PROMOTION)
        return worker, id_
    if options.HURRY in kept:
        return BY_HAND, kept.pop(options.HURRY)
    return "", kept.pop(options.REVIVAL, "")


def likeness_of(kept: dict[str, Any], job: str) -> tuple[str, int]:
    """The message's key among its like, see `wire.likeness`, and how long (ms) that stands; ("", 0) if it has none.

    They are taken off its options: a retry is no duplicate of the first try.
    """
    key = kept.pop(options.DEDUPE_KEY, None)
    window_ms = kept.pop(options.DEDUPE_FOR_MS, None)
    if key is None:
        return "", 0
    if not isinstance(key, str) or not key or not isinstance(window_ms, int) or window_ms <= 0:
        raise ValueError(
            f"{options.DEDUPE_KEY} is {key!r} for {options.DEDUPE_FOR_MS} = {window_ms!r}; expected a text that is not "
            "empty, and a whole number of ms above 0"
        )
    return wire.likeness(kept.get(options.ORGANIZATION) or "", job, key), window_ms
