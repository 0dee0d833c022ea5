"""Erlang C, one number at a time: what the core's staffing and the simulator are held to."""

from __future__ import annotations


def erlang_c(threads: int, load: float) -> float:
    """The chance of having to wait, with `load` threads busy on average; 1 where there are no more."""
    if threads <= load:
        return 1.0
    blocked = 1.0
    for n in range(1, threads + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked / (1.0 - load / threads * (1.0 - blocked))
