"""What came of one simulation, as it happened; what that is worth is said by `score`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Change(NamedTuple):
    """From `at` seconds on, `asked` replicas were asked for and `alive` were there and paid for."""

    at: float
    asked: int
    alive: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """`waits` are seconds from being ready to the first start, by job; infinite where it never came.

    `replica_seconds` are those of all replicas from being asked for to being gone, as far as they went until the last
    job was done, at `ended_at`: that is what is paid for.
    `interrupted` jobs were cut off because their replica had to go; what crashes take is not counted.
    `events` are the arrivals, starts and ends of jobs that were simulated.
    """

    waits: Sequence[float]
    replica_seconds: float
    changes: Sequence[Change]
    ended_at: float
    interrupted: int
    events: int
