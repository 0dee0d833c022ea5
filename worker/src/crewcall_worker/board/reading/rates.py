"""Rates of queues, out of counters since ever: what one look and a later one differ by.

Kept in memory, for Redis has no rates: unknown until the board has looked twice. Shared by all who look.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crewcall_worker.board.reading.queues import QueueLook

WINDOW_MS = 30_000
LEAST_MS = 900
"""Between two looks that make a rate, and between two that are kept."""
LONGEST_GAP_MS = 120_000
SAMPLE_EVERY_MS = 5_000
MOST_SAMPLES = 60
FORGOTTEN_AFTER_MS = 600_000


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one queue, per second, over the last half minute; `busy_threads`: how many threads its jobs kept busy.

    `ready`: how many jobs were ready at the times that somebody looked, five seconds apart at least; for a sparkline.
    """

    enqueued: float | None = None
    done: float | None = None
    failed: float | None = None
    busy_threads: float | None = None
    ready: tuple[int, ...] = ()


class RateBook:
    """What the looks were, by queue. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looks: dict[str, deque[QueueLook]] = {}
        self._samples: dict[str, deque[tuple[int, int]]] = {}

    def note(self, looks: Iterable[QueueLook]) -> Mapping[str, Rates]:
        """Take these looks in; the rates of their queues."""
        with self._lock:
            found = {look.queue: self._note(look) for look in looks}
            self._forget()
        return found

    def _note(self, look: QueueLook) -> Rates:
        seen = self._looks.setdefault(look.queue, deque())
        samples = self._samples.setdefault(look.queue, deque(maxlen=MOST_SAMPLES))
        if seen and (look.at_ms - seen[-1].at_ms > LONGEST_GAP_MS or look.counted.enqueued < seen[-1].counted.enqueued):
            seen.clear()  # nobody has looked for long, or somebody has emptied Redis
        if not seen or look.at_ms - seen[-1].at_ms >= LEAST_MS:
            seen.append(look)  # of the others nothing is kept: anybody may ask a thousand times a second
        if not samples or look.at_ms - samples[-1][0] >= SAMPLE_EVERY_MS:
            samples.append((look.at_ms, look.ready))
        while len(seen) > 2 and look.at_ms - seen[1].at_ms >= WINDOW_MS:
            seen.popleft()
        ready = tuple(count for _, count in samples)
        first, passed_ms = seen[0], look.at_ms - seen[0].at_ms
        if passed_ms < LEAST_MS:
            return Rates(ready=ready)
        before, now = first.counted, look.counted
        return Rates(
            enqueued=(now.enqueued - before.enqueued) * 1000 / passed_ms,
            done=(now.done - before.done) * 1000 / passed_ms,
            failed=(now.failed - before.failed + now.retried - before.retried) * 1000 / passed_ms,
            busy_threads=(now.busy_ms - before.busy_ms) / passed_ms,
            ready=ready,
        )

    def _forget(self) -> None:
        newest = max((seen[-1].at_ms for seen in self._looks.values() if seen), default=0)
        for queue, seen in list(self._looks.items()):
            if seen and newest - seen[-1].at_ms > FORGOTTEN_AFTER_MS:
                del self._looks[queue]
                self._samples.pop(queue, None)
