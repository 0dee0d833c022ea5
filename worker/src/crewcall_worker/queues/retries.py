"""When a job that failed is tried again: a policy for each type of job. Pure; times in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

LONGEST_DELAY: Final = 3653 * 86_400.0
"""Seconds: ten years. What is put off for longer is a mistake, and its time is none that a calendar has."""


def check_delay(what: str, seconds: float) -> None:
    """Raises `ValueError` where a job can be put off for no such time."""
    if not isinstance(seconds, (int, float)) or not 0 <= seconds <= LONGEST_DELAY:
        raise ValueError(f"{what} is {seconds!r}; expected seconds, from 0 to {LONGEST_DELAY:.0f} (ten years)")


class RetryPolicy(Protocol):
    """What a job type says of its retries."""

    def delay(self, failures: int, chance: float) -> float | None:
        """Seconds until the next try after so many failed ones (1 after the first); None: no more.

        `chance` is in [0, 1), for jitter.
        """
        ...


@dataclass(frozen=True, slots=True)
class FixedDelays:
    """One retry after each of these seconds: `FixedDelays(30, 120)` makes three tries in all."""

    delays: tuple[float, ...]

    def __init__(self, *delays: float) -> None:
        for delay in delays:
            check_delay("a retry's delay", delay)
        object.__setattr__(self, "delays", delays)

    def delay(self, failures: int, chance: float) -> float | None:
        del chance
        return self.delays[failures - 1] if failures <= len(self.delays) else None


@dataclass(frozen=True, slots=True)
class Backoff:
    """So many retries, the delays doubling from `first` to at most `longest`, each up to `jitter` of itself shorter.

    Jitter keeps those that failed together from coming back together; see Amazon's "Exponential backoff and jitter"
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """

    retries: int = 3
    first: float = 5.0
    longest: float = 300.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if self.retries < 0 or not 0 <= self.first <= self.longest <= LONGEST_DELAY or not 0 <= self.jitter <= 1:
            raise ValueError(f"{self}: expected retries >= 0, 0 <= first <= longest <= ten years, jitter from 0 to 1")

    def delay(self, failures: int, chance: float) -> float | None:
        if failures > self.retries:
            return None
        full = min(self.longest, self.first * 2.0 ** min(failures - 1, 64))
        return full * (1 - self.jitter * chance)
