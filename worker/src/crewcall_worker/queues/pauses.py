"""Pause and resume a queue: for whoever has to stop its jobs, in an incident say, and wants none of them lost.

From the moment that `pause` comes back no worker with Crewcall's runtime fetches from the queue. What they had
prefetched is back at its head within about a second; what runs goes on to its end. Jobs can be enqueued as ever, those
that become due wait with the others, and no pool grows for them. Plain Dramatiq workers do not know of pauses.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

import redis

from crewcall_worker import wire

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pause:
    """A queue that is paused: by whom, since when (ms since the epoch, Redis's clock), and why, if that was told.

    `at_ms` is None, and `by` empty, where somebody has written something else there; paused it is all the same.
    """

    queue: str
    by: str
    at_ms: int | None
    reason: str = ""


class Pauses:
    """The pauses of one namespace. Every call is one step, and may raise `redis.RedisError`."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._keys = wire.Keys(namespace)
        self._client = client
        self._pause = client.register_script(wire.script("pause"))
        self._resume = client.register_script(wire.script("resume"))

    def pause(self, queue: str, *, by: str, reason: str = "") -> Pause:
        """Pause a queue, by its plain name. Where it is paused already that stays as it is, and is what comes back.

        Raises `ValueError` where nobody is named, or the queue has no name.
        """
        if not queue or not by:
            raise ValueError(f"pause of queue {queue!r} by {by!r}; expected both to be named")
        queue = wire.plain_queue(queue)
        text = json.dumps({"by": by, "reason": reason})
        pause = read_pause(queue, self._pause(keys=[self._keys.paused], args=[queue, text, self._keys.pauses]))
        log.warning("Queue %s is paused by %s%s", queue, pause.by, f": {pause.reason}" if pause.reason else "")
        return pause

    def resume(self, queue: str, *, by: str) -> Pause | None:
        """Let a queue go on; the pause that this ends, None where there was none."""
        queue = wire.plain_queue(queue)
        text = self._resume(keys=[self._keys.paused], args=[queue, self._keys.pauses])
        if text is None:
            return None
        pause = read_pause(queue, text)
        log.warning("Queue %s is resumed by %s; it was paused by %s", queue, by, pause.by)
        return pause

    def list(self) -> list[Pause]:
        """All pauses, by queue."""
        found = self._client.hgetall(self._keys.paused)
        return sorted(
            (read_pause(wire.text(queue), text) for queue, text in found.items()), key=lambda pause: pause.queue
        )


def read_pause(queue: str, text: str | bytes) -> Pause:
    """What is in `paused` of this queue."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        return Pause(queue, "", None)
    by, at_ms, reason = (fields.get(name) for name in ("by", "at_ms", "reason"))
    return Pause(
        queue,
        by if isinstance(by, str) else "",
        at_ms if isinstance(at_ms, int) else None,
        reason if isinstance(reason, str) else "",
    )
