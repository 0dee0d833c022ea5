"""Which pool scales which Deployment: the first one that asked for it, until it asks for another or is gone."""

from __future__ import annotations

from crewcall_operator.api.pool import PoolKey


class Claims:
    """At most one pool to a Deployment, and one Deployment to a pool; both by namespace and name."""

    def __init__(self) -> None:
        self._holders: dict[PoolKey, PoolKey] = {}
        self._targets: dict[PoolKey, PoolKey] = {}

    def claim(self, pool: PoolKey, target: PoolKey) -> PoolKey:
        """Who holds `target` now: `pool` itself, where nobody else does. What it held before is free."""
        if self._targets.get(pool) != target:
            self.release(pool)
        holder = self._holders.setdefault(target, pool)
        if holder == pool:
            self._targets[pool] = target
        return holder

    def target(self, pool: PoolKey) -> PoolKey | None:
        """The Deployment that the pool holds; None where it holds none."""
        return self._targets.get(pool)

    def holder(self, target: PoolKey) -> PoolKey | None:
        """The pool that holds that Deployment; None where nobody does."""
        return self._holders.get(target)

    def release(self, pool: PoolKey) -> None:
        """The pool needs no Deployment any more."""
        target = self._targets.pop(pool, None)
        if target is not None:
            del self._holders[target]
