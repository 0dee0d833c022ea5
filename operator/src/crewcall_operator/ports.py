"""What the engine needs of the world: one Protocol for each kind of I/O.

Every adapter implements one of these; the engine knows nothing else of them. Expected failures are the
errors of `errors.py`; anything else is a defect and may surface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.model import Decision, Fleet, Observation
from crewcall_operator.errors import QueueUnavailable, TargetUnavailable


class Clock(Protocol):
    """Seconds on a clock that never goes back; only differences mean anything."""

    def __call__(self) -> float: ...


class QueueReader(Protocol):
    """Reads backlogs from Redis."""

    async def read(self, pools: Sequence[Pool]) -> Mapping[PoolKey, Observation | QueueUnavailable]:
        """Look once at each of `pools`, all on one Redis. Answers for every pool, and does not raise."""
        ...


class Scaler(Protocol):
    """Owns or borrows what runs a pool's workers: a Deployment, or processes."""

    async def ensure(self, pool: Pool) -> Fleet:
        """Make sure that what runs the workers is there and as the pool describes it; say how many it has.

        Never changes the number of replicas of something that exists. Raises `TargetUnavailable`.
        """
        ...

    async def scale(self, pool: Pool, replicas: int) -> None:
        """Ask for `replicas`, after `ensure` found another number. Raises `TargetUnavailable`."""
        ...

    async def release(self, pool: Pool) -> None:
        """The pool is gone: let go of what ran it."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """All that one tick found and did for one pool; every reporter is given this same record.

    `observation` is None where Redis could not be read (`unavailable` says why); `fleet` and `decision` are None
    where the target could not be (`failure` says why). `applied` is true where the replicas were changed.
    """

    pool: Pool
    at: float
    observation: Observation | None = None
    unavailable: QueueUnavailable | None = None
    fleet: Fleet | None = None
    decision: Decision | None = None
    applied: bool = False
    failure: TargetUnavailable | None = None


class Reporter(Protocol):
    """Tells people or machines what a tick found. Must not block: slow writing happens behind it."""

    def report(self, report: Report) -> None: ...

    def forget(self, key: PoolKey) -> None:
        """The pool is gone, or scaled no more: drop what is kept of it."""
        ...
