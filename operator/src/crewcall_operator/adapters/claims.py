"""Which pool scales which Deployment, where several name one: the same one at any time, also after a new start.

It is the one that is noted to borrow it (`api.borrowing`), else the one that makes it, else the older one.
"""

from __future__ import annotations

from collections import defaultdict

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.errors import TargetUnavailable

AMBIGUOUS = (
    "WorkerPool {holder} scales Deployment {target} already, and two would undo each other's work; "
    "name another Deployment, or delete one of the pools"
)


class Claims:
    """The pools that ask for each Deployment, which is told by namespace and name; one Deployment to a pool."""

    def __init__(self) -> None:
        self._asking: dict[PoolKey, dict[PoolKey, Pool]] = defaultdict(dict)
        self._targets: dict[PoolKey, PoolKey] = {}

    def ask(self, pool: Pool, target: PoolKey) -> None:
        """The pool names that Deployment, and no other one any more."""
        self.withdraw(pool.key)
        self._targets[pool.key] = target
        self._asking[target][pool.key] = pool

    def withdraw(self, pool: PoolKey) -> None:
        """The pool needs no Deployment any more."""
        target = self._targets.pop(pool, None)
        if target is not None:
            del self._asking[target][pool]
            if not self._asking[target]:
                del self._asking[target]

    def holder(self, target: PoolKey, noted: str = "") -> Pool | None:
        """Who scales that Deployment, where the pool of the uid `noted` is the one that has; None where nobody asks."""
        asking = self._asking.get(target, {}).values()
        return min(asking, default=None, key=lambda it: (it.uid != noted, it.template is None, it.created, it.key))

    def refuse(self, pool: Pool, target: PoolKey, noted: str = "") -> None:
        """Raises `TargetUnavailable` where another pool scales that Deployment."""
        holder = self.holder(target, noted)
        if holder is not None and holder.key != pool.key:
            raise TargetUnavailable("AmbiguousTarget", AMBIGUOUS.format(holder=holder.key, target=target))
