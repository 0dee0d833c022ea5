"""Waiting in tests: for a condition with a deadline, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

DEADLINE = 15.0


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
