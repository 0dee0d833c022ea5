"""What the engine needs of the world: one Protocol for each kind of I/O.

Every adapter implements one of these; the engine knows nothing else of them. Expected failures are the
errors of `errors.py`; anything else is a defect and may surface.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.decision import Decision
from crewcall_operator.core.estimate import Estimate
from crewcall_operator.core.flow import Flow
from crewcall_operator.core.observation import Fleet, Observation
from crewcall_operator.core.pin import Pin
from crewcall_operator.core.victims import Plan
from crewcall_operator.errors import QueueUnavailable, TargetUnavailable


class Clock(Protocol):
    """Seconds on a clock that never goes back; only differences mean anything."""

    def __call__(self) -> float: ...


class QueueReader(Protocol):
    """Reads backlogs from Redis."""

    async def read(
        self, pools: Sequence[Pool], horizons: Mapping[PoolKey, float]
    ) -> Mapping[PoolKey, Observation | QueueUnavailable]:
        """Look once at each of `pools`, all on one Redis. Answers for every pool, and does not raise.

        `horizons` are in how many seconds a delayed job counts as due soon, for pools that want to know.
        """
        ...

    def forget(self, pool: Pool) -> None:
        """The pool is looked at no more: drop what is kept of it."""
        ...


class Scaler(Protocol):
    """Owns or borrows what runs a pool's workers: a Deployment, or processes."""

    def take_on(self, pool: Pool) -> None:
        """The pool is there, or has become this one: `ensure` will be asked for it."""
        ...

    async def ensure(self, pool: Pool) -> Fleet:
        """Make sure that what runs the workers is there and as the pool describes it; say how many it has.

        Never changes the number of replicas of something that exists. Raises `TargetUnavailable`.
        """
        ...

    async def scale(self, pool: Pool, replicas: int, leaving: Collection[str] = ()) -> None:
        """Ask for `replicas`, after `ensure` found another number. Raises `TargetUnavailable`.

        Where they are fewer, the pods named in `leaving` are the ones to go; the choice is free where none is named.
        """
        ...

    async def release(self, pool: Pool) -> None:
        """The pool is gone: let go of what ran it."""
        ...


@dataclass(frozen=True, slots=True)
class Recovered:
    """A worker that was taken for dead: `returned` of its jobs are back in their queues, `dead` are dead letters."""

    worker: str
    returned: int
    dead: tuple[str, ...] = ()


class Orders(Protocol):
    """Tells pods to drain, by way of Redis, and gives the jobs of dead workers back to their queues."""

    async def give(self, pool: Pool, drain: Collection[str], withdraw: Collection[str]) -> None:
        """Order the pods in `drain` to drain, and let those in `withdraw` work. Raises `QueueUnavailable`."""
        ...

    async def recover(self, pool: Pool, workers: Sequence[str]) -> Sequence[Recovered]:
        """Take workers for dead whose pods are gone, those that are silent too; the others are left for later.

        Raises `QueueUnavailable`.
        """
        ...

    async def recover_lapsed(self, pool: Pool) -> Sequence[Recovered]:
        """Take workers for dead that have been silent for too long, by nobody else's fault.

        Raises `QueueUnavailable`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """All that one tick found and did for one pool; every reporter is given this same record.

    `observation` is None where Redis could not be read (`unavailable` says why); `fleet` and `decision` are None
    where the target could not be (`failure` says why). `applied` is true where the replicas were changed. `plan` is how
    the decision was carried out where pods are told apart, without its orders where these could not be written
    (`unordered` says why); `recovered` are the workers that were found dead; `hindered` says in words what could not be
    read of the workers or done for them; `flow` is what was known of the work, and `estimate` what a promise was sized
    by. `pin` is the one by hand, where there is one, whether or not the spec goes before it.
    """

    pool: Pool
    at: float
    observation: Observation | None = None
    unavailable: QueueUnavailable | None = None
    fleet: Fleet | None = None
    decision: Decision | None = None
    applied: bool = False
    failure: TargetUnavailable | None = None
    plan: Plan | None = None
    unordered: QueueUnavailable | None = None
    recovered: tuple[Recovered, ...] = ()
    hindered: tuple[str, ...] = ()
    estimate: Estimate | None = None
    pin: Pin | None = None
    flow: Flow | None = field(default=None, compare=False)

    @property
    def replicas(self) -> int | None:
        """The number to ask of the target by now: fewer replicas than decided on may be able to go yet."""
        if self.plan is not None:
            return self.plan.replicas
        return None if self.decision is None else self.decision.replicas


class Reporter(Protocol):
    """Tells people or machines what a tick found. Must not block: slow writing happens behind it."""

    def report(self, report: Report) -> None: ...

    def forget(self, key: PoolKey) -> None:
        """The pool is gone, or scaled no more: drop what is kept of it."""
        ...
