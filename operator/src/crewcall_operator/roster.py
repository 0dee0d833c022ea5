"""The roster: which pools there are, and what the next look at each must remember of the ones before it.

A pool is known by its key, and its memory by its uid: one that is made anew under an old name begins with none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.memory import Memory


@dataclass(slots=True)
class Roster:
    """Pools are scaled, or suspended: then it is only known what ran them, until they are gone.

    `patience` is how many seconds may pass between two looks at a pool; after more of them it has not been watched.
    `term` counts how often this operator has become the leader; `_left` has the replicas after the last look at each
    pool, and the term that was in, None while another led.
    """

    patience: float = math.inf
    term: int = 0
    _pools: dict[PoolKey, Pool] = field(default_factory=dict)
    _suspended: dict[PoolKey, Pool] = field(default_factory=dict)
    _memories: dict[str, Memory] = field(default_factory=dict)
    _left: dict[str, tuple[int, int | None]] = field(default_factory=dict)

    @property
    def pools(self) -> Iterable[Pool]:
        """Those that are scaled."""
        return tuple(self._pools.values())

    def get(self, key: PoolKey) -> Pool | None:
        """The pool of this name, if it is scaled."""
        return self._pools.get(key)

    def known(self, key: PoolKey) -> Pool | None:
        """The pool of this name, be it scaled or suspended."""
        return self._pools.get(key) or self._suspended.get(key)

    def is_current(self, pool: Pool) -> bool:
        """Not when it was removed or replaced while somebody was asked: it may be paused now, or let go of."""
        return self._pools.get(pool.key) is pool

    def is_there(self, pool: Pool) -> bool:
        """Whether it is scaled still, with whatever spec."""
        known = self._pools.get(pool.key)
        return known is not None and known.uid == pool.uid

    def put(self, pool: Pool) -> None:
        """Enter a pool, or what it has become."""
        self._suspended.pop(pool.key, None)
        self._pools[pool.key] = pool

    def suspend(self, key: PoolKey) -> None:
        """Forget what is remembered of a pool."""
        pool = self._pools.pop(key, None)
        if pool is not None:
            self._suspended[key] = pool
            self._memories.pop(pool.uid, None)
            self._left.pop(pool.uid, None)

    def strike(self, key: PoolKey) -> None:
        """Forget a suspended pool."""
        self._suspended.pop(key, None)

    def memory(self, pool: Pool) -> Memory | None:
        """What is remembered of a pool; None at its beginning."""
        return self._memories.get(pool.uid)

    def keep(self, pool: Pool, memory: Memory) -> None:
        """Remember this, unless the pool or its spec is another one by now."""
        if self.is_current(pool):
            self._memories[pool.uid] = memory

    def changed_by_others(self, pool: Pool, replicas: int, leads: bool) -> int:
        """By how many replicas whoever led since the last look has changed it; a hand's changes are not meant."""
        term = self.term if leads else None
        before, since = self._left.get(pool.uid, (replicas, None))
        if self.is_there(pool):
            self._left[pool.uid] = replicas, term
        return 0 if leads and since == term else replicas - before

    def note_change(self, pool: Pool, delta: int, now: float) -> None:
        """Remember a change of replicas: it was carried out, whatever the spec says by now."""
        memory = self._memories.get(pool.uid)
        if memory is not None:
            self._memories[pool.uid] = memory.changing(delta, now)
            before, term = self._left[pool.uid]
            self._left[pool.uid] = before + delta, term
