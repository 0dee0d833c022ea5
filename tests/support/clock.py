"""A clock of the test's own: it stands until the test moves it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Clock:
    """Says `now`, in seconds."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now
