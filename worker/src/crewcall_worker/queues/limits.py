"""How many jobs of one organisation may be in flight at once, in one queue: so that none takes all workers there are.

Turns alone (see `lua/fetch.lua`) share out what starts; with long jobs one organisation may come to hold every thread
all the same. What is in flight is what workers have fetched, so what they prefetch counts as well. Fetched before the
limit was set does not. What waits for a limit asks for no workers: the operator does not count it.
"""

from __future__ import annotations

import redis

from crewcall_worker import wire

ALL_OTHERS = "*"
"""In place of an organisation: each that has no limit of its own."""


class OrganizationLimits:
    """The limits of one namespace. Every call is one step, and may raise `redis.RedisError`."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._keys = wire.Keys(namespace)
        self._script = client.register_script(wire.script("limit"))

    def set(self, queue: str, organization: str, most: int) -> int | None:
        """Let `most` jobs of this organisation be in flight at once; what it was before, None for no limit.

        Raises `ValueError` where that is not one job at least: to stop a queue, pause it.
        """
        if most < 1 or not organization:
            raise ValueError(f"limit of {organization!r} is {most}; expected an organisation, and 1 job or more")
        return self._change(queue, organization, str(most))

    def lift(self, queue: str, organization: str) -> int | None:
        """Let this organisation have as many in flight as there are, or as all others; what its limit was before."""
        return self._change(queue, organization, "")

    def list(self, queue: str) -> dict[str, int]:
        """The limits of a queue by organisation, that of `ALL_OTHERS` among them."""
        found = self._client.hgetall(self._keys.limits(queue))
        return {wire.text(organization): int(most) for organization, most in sorted(found.items())}

    def _change(self, queue: str, organization: str, most: str) -> int | None:
        before = self._script(args=[self._keys.prefix, wire.plain_queue(queue), organization, most])
        return None if before is None else int(before)
