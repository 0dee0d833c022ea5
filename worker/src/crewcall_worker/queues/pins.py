"""Pin a pool: hold it at a number of replicas, whatever its load, without a right in the cluster.

The operator reads the pins with the backlogs and treats each as `spec.replicas`: within minReplicas and maxReplicas,
and where the spec has `replicas` of its own that goes first. A pin stays until somebody removes it.
"""

from __future__ import annotations

import logging

import redis

from crewcall_worker import wire
from crewcall_worker.wire import Pin

log = logging.getLogger(__name__)


class Pins:
    """The pins of one namespace; pools by their `wire.pool_name`. Every call is one step, and may raise
    `redis.RedisError`."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._key = wire.Keys(namespace).pins
        self._client = client
        self._pin = client.register_script(wire.script("pin"))
        self._unpin = client.register_script(wire.script("unpin"))

    def pin(self, pool: str, replicas: int, *, by: str) -> Pin:
        """Pin a pool, in place of a pin that it has; as it is written, with its time.

        Raises `ValueError` where nobody or no pool is named, or the replicas are less than none.
        """
        if not pool or not by or replicas < 0:
            raise ValueError(
                f"pin of pool {pool!r} to {replicas} by {by!r}; expected both to be named, and 0 replicas or more"
            )
        text = self._pin(keys=[self._key], args=[pool, wire.write_pin(Pin(pool, replicas, by))])
        log.warning("Pool %s is pinned to %d replicas by %s", pool, replicas, by)
        return wire.read_pin(pool, text)

    def unpin(self, pool: str, *, by: str) -> bool:
        """Remove a pool's pin; false where there was none."""
        text = self._unpin(keys=[self._key], args=[pool])
        if text is None:
            return False
        log.warning("The pin of pool %s is removed by %s; it was %s", pool, by, wire.text(text))
        return True

    def list(self) -> list[Pin]:
        """All pins, by pool; what the operator could not read either is left out."""
        pins = []
        for pool, text in self._client.hgetall(self._key).items():
            try:
                pins.append(wire.read_pin(wire.text(pool), text))
            except wire.UnknownRecord as error:
                log.warning("A pin is left out: %s", error)
        return sorted(pins, key=lambda pin: pin.pool)
