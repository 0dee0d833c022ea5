"""A trace of what this worker's jobs take, for whoever records one: `crewcall record`, see `wire`.

Nobody asks, nothing is kept and nothing sent. A recorder asks anew each second, so that it may die without a word; a
worker that begins to listen looks once whether one is there, before its first job and then again. One row for each run
that ends, whatever came of it, for each kept a thread busy; a retry is a run of its own, with its own time of being
ready. Runs that are not over when the recording ends have no row.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence

import redis

from crewcall_worker import wire
from crewcall_worker.queues.running import Run

log = logging.getLogger(__name__)


class Recording:
    """One worker's part. Any thread may say that somebody records; `note` is for its threads, `write` for one other."""

    def __init__(
        self, client: redis.Redis, keys: wire.Keys, queues: Sequence[str], steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._keys = keys
        self._queues = tuple(queues)
        self._steady = steady
        self._asked_until: dict[str, float] = {}
        self._rows: deque[tuple[str, str]] = deque(maxlen=wire.MOST_TRACED)

    def look(self) -> None:
        """Whether somebody records."""
        try:
            found = self._client.mget([self._keys.recorder(queue) for queue in self._queues])
        except redis.RedisError as error:
            log.debug("Whether somebody records is not known yet: %s", error)
            return
        for queue, value in zip(self._queues, found, strict=True):
            if value is not None:
                self.hear(queue)

    def hear(self, queue: str) -> None:
        """Somebody records `queue`, for a while; where it is "", it was not heard what was said: look."""
        if queue:
            self._asked_until[queue] = self._steady() + wire.RECORDED_FOR_MS / 1000
        else:
            self.look()

    def note(self, run: Run) -> None:
        """A run has ended just now."""
        now = self._steady()
        if now >= self._asked_until.get(run.queue, 0.0):
            return
        # Plain producers do not tell when a job is ready; what they send without a delay is so when it is sent.
        told = run.message.options.get(wire.READY_AT)
        ready_ms = told if isinstance(told, int | float) else run.message.message_timestamp
        self._rows.append((run.queue, wire.write_run(ready_ms, (now - run.began) * 1000)))

    def write(self) -> None:
        """Write what there is. Raises `redis.RedisError`; then it is gone, as a recording is not worth waiting for."""
        rows: dict[str, list[str]] = defaultdict(list)
        while self._rows:
            queue, row = self._rows.popleft()
            rows[queue].append(row)
        for key, waiting in ((self._keys.trace(queue), waiting) for queue, waiting in rows.items()):
            with self._client.pipeline(transaction=True) as pipeline:
                pipeline.rpush(key, *waiting)
                pipeline.ltrim(key, 0, wire.MOST_TRACED - 1)
                pipeline.pexpire(key, wire.TRACE_KEPT_MS)
                pipeline.execute()
