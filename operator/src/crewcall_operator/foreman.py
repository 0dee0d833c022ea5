"""The foreman: what has to be told to a pool's workers so that nothing they run is cut off, or lost with them.

Fewer replicas come in three steps: order to drain, wait until they are drained, then ask for exactly those less. Every
tick plans anew from what was seen (`core.victims`), so no step is lost when one fails or the operator starts anew.
Asking for replicas is the engine's part. Dead workers' jobs are given back to their queues.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.leaving import leaving
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Fleet, Observation
from crewcall_operator.core.policy import Mode
from crewcall_operator.core.victims import Plan, plan
from crewcall_operator.errors import QueueUnavailable
from crewcall_operator.ports import Clock, Orders, Recovered

#: Seconds between two looks for workers that have gone silent.
SWEEP_EVERY = 3.0


def plan_for(
    pool: Pool, fleet: Fleet, observed: Observation | None, memory: Memory, wanted: int, now: float
) -> Plan | None:
    """How to come to `wanted` replicas beside those that leave; None where the pods or their workers are not known."""
    if fleet.pods is None or observed is None:
        return None
    by_hand = leaving(fleet, observed)
    if pool.policy.mode is not Mode.AUTO:
        wanted = fleet.current - len(by_hand)  # nobody goes, so nobody shall stay drained either
    standing = {pod: now - since for pod, since in memory.orders.items()}
    steps = plan(
        fleet.pods,
        observed.workers,
        standing,
        fleet.current,
        wanted,
        memory.startups.usual,
        now,
        by_hand,
        pool.policy.max_replicas,
    )
    if pool.policy.mode is not Mode.AUTO:
        return replace(steps, replicas=fleet.current, remove=(), unanswered=())
    return steps


def without_orders(steps: Plan, current: int) -> Plan:
    """What is left of a plan whose orders could not be written: more replicas come, none of the `current` goes."""
    ordered = {order.pod for order in steps.order}
    draining = tuple(pod for pod in steps.draining if pod not in ordered)
    return Plan(max(current, steps.replicas), draining=draining, plain=steps.plain)


@dataclass(slots=True)
class Foreman:
    """Gives orders and has jobs recovered, through the port."""

    orders: Orders
    clock: Clock
    _swept: dict[PoolKey, float] = field(default_factory=dict)
    _trouble: dict[PoolKey, tuple[str, ...]] = field(default_factory=dict)

    async def order(self, pool: Pool, steps: Plan, memory: Memory) -> Memory:
        """Give and withdraw the orders of a plan; what to remember of it. Raises `QueueUnavailable`.

        Then the plan is to be carried out `without_orders`.
        """
        if not steps.order and not steps.withdraw:
            return memory
        pods = [order.pod for order in steps.order]
        # The time before it is sent: what a worker says after it has heard is never taken for older than its order.
        memory = memory.ordering(pods, self.clock())
        await self.orders.give(pool, pods, steps.withdraw)
        return memory

    async def let_work(self, pool: Pool, ordered: Collection[str]) -> None:
        """Nobody scales the pool any more: the pods that were ordered, where they stay, shall not stay drained."""
        if ordered:
            # Where Redis is away, so are the queues that they would work on; the next valid look withdraws them.
            with suppress(QueueUnavailable):
                await self.orders.give(pool, (), tuple(ordered))

    def forget(self, key: PoolKey) -> None:
        """Drop what is kept of a pool."""
        self._swept.pop(key, None)
        self._trouble.pop(key, None)

    async def recover(
        self, pool: Pool, fleet: Fleet, observed: Observation
    ) -> tuple[tuple[Recovered, ...], tuple[str, ...]]:
        """Give back what dead workers held; who was dead, and in words what has kept us from it since the last time."""
        if not observed.workers:
            return (), ()
        dead = [worker.id for worker in observed.workers if worker.pod in fleet.gone]
        now = self.clock()
        is_due = now - self._swept.get(pool.key, -SWEEP_EVERY) >= SWEEP_EVERY
        recovered: list[Recovered] = []
        if dead or is_due:
            self._trouble.pop(pool.key, None)
        steps = [partial(self.orders.recover, pool, dead)] if dead else []
        if is_due:
            self._swept[pool.key] = now
            steps.append(partial(self.orders.recover_lapsed, pool))
        for step in steps:  # one that fails shall not keep the other from its turn
            try:
                recovered += await step()
            except QueueUnavailable as error:
                self._trouble[pool.key] = (f"dead workers' jobs are left to the other workers: {error}",)
        return tuple(recovered), self._trouble.get(pool.key, ())
