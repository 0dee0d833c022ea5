"""The queues of `limited_jobs`, for tests: who imports the jobs themselves has them in its own catalogue."""

from __future__ import annotations

SLOW, QUICK = "slow", "quick"
LIMIT = 2


def begun(queue: str) -> str:
    """A list: for each job how many of its queue ran when it had begun."""
    return f"test:{queue}:begun"


def gate(queue: str) -> str:
    """A list: each entry lets one job go."""
    return f"test:{queue}:gate"


def done(queue: str) -> str:
    """How many are done."""
    return f"test:{queue}:done"
