"""Orders and recovery in Redis, by the leader only: the same guard that `kubernetes_api` has for the API server.

Nothing is begun without the leadership, and nothing is waited for beyond it. What is written, and how, belongs to the
adapter behind this.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Coroutine, Sequence
from typing import TypeVar

from crewcall_operator.api.pool import Pool
from crewcall_operator.core.leadership import Leadership
from crewcall_operator.errors import QueueUnavailable
from crewcall_operator.ports import Orders, Recovered

Answer = TypeVar("Answer")


class LedOrders:
    """Implements `ports.Orders`."""

    def __init__(self, orders: Orders, leadership: Leadership) -> None:
        self._orders = orders
        self._leadership = leadership

    async def give(self, pool: Pool, drain: Collection[str], withdraw: Collection[str]) -> None:
        """Order the pods in `drain` to drain, and let those in `withdraw` work. Raises `QueueUnavailable`."""
        await self._while_leading(self._orders.give(pool, drain, withdraw))

    async def recover(self, pool: Pool, workers: Sequence[str]) -> Sequence[Recovered]:
        """Take workers for dead whose pods are gone, those that are silent too. Raises `QueueUnavailable`."""
        return await self._while_leading(self._orders.recover(pool, workers))

    async def recover_lapsed(self, pool: Pool) -> Sequence[Recovered]:
        """Take workers for dead that have been silent for too long. Raises `QueueUnavailable`."""
        return await self._while_leading(self._orders.recover_lapsed(pool))

    async def _while_leading(self, write: Coroutine[None, None, Answer]) -> Answer:
        left = self._leadership()
        if left <= 0:
            write.close()
            raise QueueUnavailable("(not asked)", "another operator may be leading")
        try:
            async with asyncio.timeout(None if left == math.inf else left):
                return await write
        except TimeoutError as error:
            raise QueueUnavailable("(given up)", "another operator may be leading by now") from error
