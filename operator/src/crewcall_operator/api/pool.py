"""A WorkerPool as Python: the typed, frozen form that everything behind the API works with.

`api.spec` makes it from a resource; the decision sees only its `policy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from crewcall_operator.core.policy import Policy


class PoolKey(NamedTuple):
    """Which pool, in the way people write it: namespace/name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


Holder = Literal["Secret", "ConfigMap"]
"""What holds keys and values in a cluster."""


@dataclass(frozen=True, slots=True)
class KeyRef:
    """A value in a cluster: a key of a Secret or a ConfigMap."""

    kind: Holder
    namespace: str
    name: str
    key: str

    def __str__(self) -> str:
        return f'key "{self.key}" of {self.kind} {self.namespace}/{self.name}'


@dataclass(frozen=True, slots=True)
class LoginSource:
    """Who logs in, by where that is written; None where the URL tells, or nobody has to."""

    username: KeyRef | None = None
    password: KeyRef | None = None


NO_LOGIN = LoginSource()


@dataclass(frozen=True, slots=True)
class RedisSource:
    """Where a pool's queues live: a `url`, in the notation of `crewcall_worker.redis_address`, or where to find it.

    Pools with an equal `place` are looked at together. The URL may hold a password, and so may `place`: neither is
    ever to be shown.
    """

    url: str = field(repr=False)
    namespace: str = "dramatiq"
    url_from: KeyRef | None = None
    login: LoginSource = NO_LOGIN
    ca_from: KeyRef | None = None
    sentinel_login: LoginSource = NO_LOGIN
    refs: tuple[KeyRef, ...] = field(init=False, repr=False, compare=False)
    place: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        login, sentinel = self.login, self.sentinel_login
        roles = (
            self.url_from,
            login.username,
            login.password,
            self.ca_from,
            sentinel.username,
            sentinel.password,
        )
        refs = tuple(ref for ref in roles if ref is not None)
        object.__setattr__(self, "refs", refs)
        # A text, since pools are grouped by it at every tick.
        place = f"{self.url} {' '.join(str(role) for role in roles)}" if refs else self.url
        object.__setattr__(self, "place", place)

    def __str__(self) -> str:
        """For people, where the address itself is not known."""
        return f"the pool with its URL in {self.url_from}" if self.url_from is not None else "the pool"


@dataclass(frozen=True, slots=True)
class Pool:
    """One WorkerPool. Exactly one of `template` (a PodTemplateSpec) and `deployment_ref` (a Deployment's name) is set.

    `created` is its creationTimestamp, an older one sorts first; `grace_period` is in seconds; `concurrency` is the
    jobs one replica runs at once, None where not told.
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
    created: str = ""
