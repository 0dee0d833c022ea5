"""A WorkerPool as Python: the typed, frozen form that everything behind the API works with.

`api.spec` makes it from a resource; the decision sees only its `policy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from crewcall_operator.core.model import Policy


class PoolKey(NamedTuple):
    """Which pool, in the way people write it: namespace/name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class RedisSource:
    """Where a pool's queues live. Pools with an equal `url` share one connection. The URL may hold a password."""

    url: str = field(repr=False)
    namespace: str = "dramatiq"


@dataclass(frozen=True, slots=True)
class Pool:
    """One WorkerPool. Exactly one of `template` (a PodTemplateSpec) and `deployment_ref` (a Deployment's name) is set.

    `grace_period` is in seconds; `concurrency` is the jobs one replica runs at once, None where not told.
    """

    key: PoolKey
    uid: str
    generation: int
    redis: RedisSource
    policy: Policy
    grace_period: float = 600.0
    concurrency: int | None = None
    template: Mapping[str, Any] | None = field(default=None, hash=False)
    deployment_ref: str | None = None
