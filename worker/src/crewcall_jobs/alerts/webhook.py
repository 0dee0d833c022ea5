"""A webhook, posted: signed, to public addresses only, following no redirect.

As the Standard Webhooks have it: 2xx is a yes, 410 a no for good, and everything else is tried again. What a receiver
says besides its status, nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from crewcall_jobs.alerts.signing import secret_of, sign
from crewcall_jobs.errors import Undelivered
from crewcall_jobs.settings import ENV_WEBHOOK_SECRET
from crewcall_jobs.web.client import Request, Web, origin
from crewcall_jobs.web.retry_after import seconds_to_wait
from crewcall_worker.queues import Reject, TryAgain

GONE: Final = 410


class Webhooks:
    """Posts them. No `masters`: none is posted."""

    def __init__(self, masters: Sequence[str], web: Web, clock: Callable[[], datetime]) -> None:
        self._masters, self._web, self._clock = masters, web, clock

    def post(self, url: str, organization_id: str, body: bytes, key: str) -> str:
        """The webhook's id, which is `key`: the same at every try. Raises `Reject`, `TryAgain`."""
        if not self._masters:
            raise Reject(f"webhooks cannot be signed: set {ENV_WEBHOOK_SECRET}, then retry this job")
        now = self._clock()
        secrets = [secret_of(master, organization_id) for master in self._masters]
        headers = {"Content-Type": "application/json", **sign(secrets, key, int(now.timestamp()), body)}
        answer = self._web.send(Request(url, "POST", headers, body, status_only=True))
        if 200 <= answer.status < 300:
            return key
        what = f"{origin(url)} answers {answer.status}"
        if answer.status == GONE:
            raise Reject(what)
        after = seconds_to_wait(answer.headers.get("retry-after"), now)
        raise Undelivered(what) if after is None else TryAgain(what, after=after)
