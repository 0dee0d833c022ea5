"""A coroutine, run in an event loop of its own, as `asyncio.run` does it; but who has given up a name's look-up does
not wait for its end.

The system's resolver cannot be interrupted and has times of its own (resolv.conf(5): 5 s, twice, for each server),
while `asyncio.run` waits for the threads in which it was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class _Unawaited(ThreadPoolExecutor):
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        del wait, cancel_futures
        super().shutdown(wait=False, cancel_futures=True)


def run(work: Coroutine[Any, Any, T]) -> T:
    """What it returns. Raises what it raises."""

    async def begin() -> T:
        asyncio.get_running_loop().set_default_executor(_Unawaited(thread_name_prefix="crewcall-names"))
        return await work

    return asyncio.run(begin())
