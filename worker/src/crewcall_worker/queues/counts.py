"""How many jobs of a queue are in each state: what is asked of Redis, and how the answers are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from crewcall_worker import wire

ASKED: Final = 8
"""Answers to what `ask` asks."""


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How many jobs of a queue are in each state. `in_flight`: with workers, begun or not, the running ones included.
    `delayed_unlisted` ones are plain producers': they are counted, and on no page."""

    queue: str
    ready: int
    in_flight: int
    running: int
    delayed: int
    delayed_unlisted: int
    completed: int
    dead: int
    is_paused: bool


def ask(pipeline: Any, keys: wire.Keys, queue: str) -> None:
    """Put into a pipeline what `read` wants the answers to."""
    pipeline.llen(keys.ready(queue))
    pipeline.zcard(keys.waiting(queue))
    pipeline.hlen(keys.messages(queue))
    pipeline.zcard(keys.running(queue))
    pipeline.hlen(keys.messages(queue + wire.DELAYED))
    pipeline.zcard(keys.eta(queue))
    pipeline.zcard(keys.completed(queue))
    pipeline.zcard(keys.dead(queue))


def read(queue: str, answers: Sequence[int], *, is_paused: bool) -> QueueCounts:
    """The counts, by the answers to what `ask` asked."""
    listed, waiting, held, running, delayed, indexed, completed, dead = answers
    in_flight = max(0, held - listed - waiting)
    return QueueCounts(
        queue=queue,
        ready=listed + waiting,
        in_flight=in_flight,
        running=min(running, in_flight),
        delayed=delayed,
        delayed_unlisted=max(0, delayed - indexed),
        completed=completed,
        dead=dead,
        is_paused=is_paused,
    )
