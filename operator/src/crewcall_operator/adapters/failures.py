"""Requests that failed, and when they may be made again: what the API server has just refused it refuses again."""

from __future__ import annotations

from http import HTTPStatus

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.observation import Fleet
from crewcall_operator.errors import ApiError, TargetUnavailable
from crewcall_operator.ports import Clock

#: Seconds before a request that went unanswered, and before one that was refused, is sent again.
RETRY, RETRY_REFUSED = 2.0, 30.0

#: Failures that are over once the Deployment has been seen.
_MISSING = ("FailedGetScale", "FailedCreate")


class Failures:
    """The last failure of each pool."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[PoolKey, tuple[Pool, float, TargetUnavailable]] = {}

    def note(self, pool: Pool, reason: str, error: ApiError, fleet: Fleet | None) -> TargetUnavailable:
        """Note it; what to raise."""
        is_refused = error.is_lasting and error.status != HTTPStatus.NOT_FOUND
        failure = TargetUnavailable(reason, str(error), fleet)
        self._last[pool.key] = (pool, self._clock() + (RETRY_REFUSED if is_refused else RETRY), failure)
        return failure

    def recent(self, pool: Pool, *, is_there: bool) -> TargetUnavailable | None:
        """What failed lately for exactly this pool, and is not to be tried again yet; `is_there` is its Deployment."""
        failed_pool, until, failure = self._last.get(pool.key, (None, 0.0, None))
        if failure is None or failed_pool is not pool or self._clock() >= until:
            return None
        return None if is_there and failure.reason in _MISSING else failure

    def forget(self, key: PoolKey) -> None:
        """The pool is gone."""
        self._last.pop(key, None)
