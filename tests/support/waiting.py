"""Waiting in tests: for a condition with a deadline, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

#: Seconds within which what is waited for must have come. It costs nothing where it comes, and a busy machine is slow:
#: a process that starts within half a second on an idle one may take ten.
DEADLINE = 60.0


def wait_until(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """Come back as soon as `condition` holds; fail with `what` was waited for after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() >= end:
            raise AssertionError(f"still waiting after {deadline:g} s: {what}")
        time.sleep(0.01)


async def until(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """`wait_until` for a test whose event loop must go on meanwhile."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() >= end:
            raise AssertionError(f"still waiting after {deadline:g} s: {what}")
        await asyncio.sleep(0.01)


async def until_answered(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """`until` for a condition that blocks, as one that asks a server: in a thread, lest all else here stands still."""
    end = time.monotonic() + deadline
    while not await asyncio.to_thread(condition):
        if time.monotonic() >= end:
            raise AssertionError(f"still waiting after {deadline:g} s: {what}")
        await asyncio.sleep(0.1)
