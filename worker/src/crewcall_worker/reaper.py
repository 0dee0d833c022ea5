"""A thread in each worker that looks for dead colleagues, and has their jobs given back.

At its start it sees to those that its own worker replaces, thereafter to those that have gone silent. All workers of a
pool look, one of them at a time: there is no leader that could be missing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import redis

from crewcall_worker import recovery, wire

PERIODS_OF_A_LAPSE = 10
SHORTEST_PERIOD_MS = 100
PLAIN_PERIOD_MS = 5_000
PREDECESSORS_WITHIN = 10.0
PREDECESSORS_EVERY = 0.25

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watch:
    """Whom to look for, and the queues that this worker works on.

    `lapse_ms` of silence are a death; `most_kills` deaths make a message a dead letter.
    """

    namespace: str
    pool: str
    queues: tuple[str, ...] = ()
    lapse_ms: int = wire.LAPSED_AFTER_MS
    most_kills: int = wire.MOST_KILLS

    @property
    def period_ms(self) -> int:
        """Time between two looks: a death is told a tenth of the lapse late, at most."""
        return max(SHORTEST_PERIOD_MS, self.lapse_ms // PERIODS_OF_A_LAPSE)


class Reaper(threading.Thread):
    """Runs until `stop`. While Redis is away it does nothing, and nobody is dead for that."""

    def __init__(self, client: redis.Redis, watch: Watch, own_id: Callable[[], str]) -> None:
        """`own_id` tells the id of the worker that this thread is part of; it may change."""
        super().__init__(name="crewcall-reaper", daemon=True)
        self._client = client
        self._watch = watch
        self._own_id = own_id
        self._stopped = threading.Event()
        self._told: set[str] = set()

    def stop(self) -> None:
        """Look no more; comes back once a look that is under way is over, or a second later."""
        self._stopped.set()
        if self.is_alive():
            self.join(1.0)

    def run(self) -> None:
        # The predecessor's last beat may be as young as this process: look until it has been silent for long enough.
        looks = int(PREDECESSORS_WITHIN / PREDECESSORS_EVERY)
        while looks and not self._stopped.wait(PREDECESSORS_EVERY):
            looks = looks - 1 if self._replaces() else 0
        while not self._stopped.wait(self._watch.period_ms / 1000):
            self._look()

    def _replaces(self) -> bool:
        """Recover those that this worker replaces; whether there may be more of them in a moment."""
        watch = self._watch
        is_done = False

        def replace() -> None:
            nonlocal is_done
            older = recovery.predecessors(self._client, watch.namespace, watch.pool, self._own_id())
            if older is not None:
                is_done = self._recover(older, recovery.PREDECESSOR_SILENT_MS) == len(older)

        self._try("predecessors", replace)
        return not is_done

    def _look(self) -> None:
        watch = self._watch

        def look_for_silent() -> None:
            silent = recovery.lapsed(
                self._client,
                watch.namespace,
                watch.pool,
                lapse_ms=watch.lapse_ms,
                period_ms=watch.period_ms,
                queues=watch.queues,
            )
            self._recover(silent, watch.lapse_ms)

        def look_for_plain() -> None:
            plain = recovery.lapsed_plain(self._client, watch.namespace, watch.pool, period_ms=PLAIN_PERIOD_MS)
            self._recover(plain, recovery.PLAIN_SILENT_MS)

        self._try("dead workers", look_for_silent)
        self._try("dead workers without the runtime", look_for_plain)

    def _try(self, whom: str, look: Callable[[], object]) -> None:
        """Look; this thread outlives whatever Redis answers, or holds."""
        try:
            look()
        except (redis.ResponseError, ValueError) as error:  # ValueError: what is there cannot be read
            self._tell_once(f"Cannot look for {whom} of {self._watch.pool}: {error}")
        except redis.RedisError as error:  # it is away, which the presence tells of
            log.debug("Cannot look for %s: %s", whom, error)

    def _recover(self, workers: list[str], silent_ms: int) -> int:
        watch = self._watch
        done = recovery.recover(
            self._client,
            watch.namespace,
            watch.pool,
            workers,
            limit=watch.most_kills,
            silent_ms=silent_ms,
            tell=self._tell_once,
        )
        return len(done)

    def _tell_once(self, words: str) -> None:
        if words not in self._told:
            self._told.add(words)
            log.warning("%s", words)
