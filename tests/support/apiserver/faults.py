"""Faults on demand: what matching requests get instead of, or before, their answer."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

from tests.support.apiserver.failures import Failure
from tests.support.apiserver.journal import Entry

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Reset(Exception):
    """The connection is to be broken off without an answer."""


@dataclass(slots=True, eq=False)
class Fault:
    """What goes wrong, for which requests, and how often (`times`; None is until cleared).

    A request matches where every given word does: `verb`, `resource` and `token` (of one client alone) as in the
    journal, `path` as a pattern.
    It then waits for `delay` seconds, or for as long as the fault lasts (`hang`), and is answered with `status`, if
    that is not 0, or with a broken connection (`reset`).
    """

    status: int = 0
    delay: float = 0.0
    hang: bool = False
    reset: bool = False
    retry_after: int | None = None
    message: str = "injected by the test"
    verb: str = ""
    resource: str = ""
    subresource: str | None = None
    method: str = ""
    path: str = ""
    token: str = ""
    times: int | None = None
    hits: int = 0
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def matches(self, entry: Entry) -> bool:
        if self._over.is_set() or (self.times is not None and self.hits >= self.times):
            return False
        return (
            self.verb in ("", entry.verb)
            and self.resource in ("", entry.resource)
            and self.subresource in (None, entry.subresource)
            and self.method in ("", entry.method)
            and self.token in ("", entry.token)
            and (not self.path or re.search(self.path, entry.path) is not None)
        )

    def clear(self) -> None:
        """End the fault; requests that hang are answered as they should have been."""
        self._over.set()

    async def strike(self) -> None:
        """Raises the `Failure` or `Reset` that the request is answered with, if any."""
        self.hits += 1
        if self.hang:
            await self._over.wait()
            return
        await asyncio.sleep(self.delay)
        if self.reset:
            raise Reset
        if self.status:
            headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
            details = {} if self.retry_after is None else {"retryAfterSeconds": self.retry_after}
            raise Failure(self.status, _REASONS.get(self.status, "Unknown"), self.message, details, headers)


@dataclass(slots=True)
class Faults:
    """The faults that are in force; the first that matches strikes."""

    active: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> Fault:
        self.active.append(fault)
        return fault

    def clear(self) -> None:
        for fault in self.active:
            fault.clear()
        self.active.clear()

    async def strike(self, entry: Entry) -> None:
        for fault in self.active:
            if fault.matches(entry):
                await fault.strike()
                return
