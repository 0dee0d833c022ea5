"""Ask a worker by hand to drain: it finishes what it runs, gives back what it has prefetched, and takes nothing more.

What the operator orders is kept apart from that, for it withdraws orders as the load needs, and this is not its own to
withdraw. It counts such a worker as leaving: another one is started where the load needs it, and its pod goes once it
is drained. Where nobody scales the pool, it stays there, drained, until it is stopped or the wish withdrawn. A wish is
for one life of a worker: one that begins anew, or was taken for dead and goes on under another id, works.
"""

from __future__ import annotations

import logging

import redis

from crewcall_worker import wire
from crewcall_worker.wire import Asked

KEPT_MS = 7 * 86_400_000
"""For how long wishes of a pool are kept after the last one; those of workers that are gone are removed with them."""

log = logging.getLogger(__name__)


class Drains:
    """What the workers of one namespace were asked; pools by their `wire.pool_name`, workers by their ids.

    Every call is one step, and may raise `redis.RedisError`.
    """

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._keys = wire.Keys(namespace)
        self._client = client
        self._ask = client.register_script(wire.script("ask"))

    def ask(self, pool: str, worker: str, *, by: str) -> Asked | None:
        """Ask a worker to drain; who asked it first, and when, or None where the pool has no such worker.

        Raises `ValueError` where nobody is named.
        """
        if not by:
            raise ValueError(f"worker {worker!r} is asked to drain by {by!r}; expected somebody to be named")
        keys = [self._keys.asked(pool), self._keys.workers(pool), self._keys.orders_changed]
        text = self._ask(keys=keys, args=[worker, wire.write_asked(Asked(worker, by)), KEPT_MS])
        if text is None:
            return None
        asked = wire.read_asked(worker, text)
        log.warning("Worker %s of pool %s is asked to drain by %s", worker, pool, asked.by)
        return asked

    def withdraw(self, pool: str, worker: str, *, by: str) -> bool:
        """Let a worker that was asked to drain work on, which it hears within a second; false where it was not."""
        was_asked = bool(self._client.hdel(self._keys.asked(pool), worker))
        if was_asked:
            log.warning("Worker %s of pool %s is let work on by %s", worker, pool, by)
        return was_asked

    def list(self, pool: str) -> list[Asked]:
        """The pool's workers that are asked to drain, by id."""
        found = self._client.hgetall(self._keys.asked(pool))
        return sorted((wire.read_asked(wire.text(id_), text) for id_, text in found.items()), key=lambda it: it.worker)
