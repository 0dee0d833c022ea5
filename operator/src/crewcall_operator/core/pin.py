"""A pin: a number of replicas that somebody has a pool held at by hand, on the board, and not in its spec.

A pure value, wanted of a pool and yet seen in Redis, with the backlog (docs/adr/0052).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pin:
    """Somebody, `by`, holds a pool at so many replicas by hand."""

    replicas: int
    by: str
