"""The provider, by its HTTP API: POST /messages with a bearer key, as Telnyx has it
(https://developers.telnyx.com/docs/messaging).

The idempotency key makes a second try of the same job no second message, for 24 hours and as long as the body is the
same to the byte (https://developers.telnyx.com/docs/development/api-fundamentals/idempotency).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from crewcall_jobs.settings import ENV_SMS_KEY, SmsSettings
from crewcall_jobs.sms.answers import message_id
from crewcall_jobs.web.client import Request, Web
from crewcall_worker.queues import Reject


class SmsProvider(Protocol):
    """Whoever sends text messages."""

    def send(self, to: str, text: str, sender: str, key: str) -> str:
        """The provider's id of the message; `key` stays the same over tries. Empty `sender`: the one that is set.

        Raises `Reject`, `TryAgain`.
        """
        ...


class HttpProvider:
    """Telnyx, or who speaks like it."""

    def __init__(self, settings: SmsSettings, web: Web, clock: Callable[[], datetime]) -> None:
        self._settings, self._web, self._clock = settings, web, clock

    def send(self, to: str, text: str, sender: str, key: str) -> str:
        message = {"from": sender or self._settings.sender, "text": text, "to": to}
        if self._settings.profile:
            message["messaging_profile_id"] = self._settings.profile
        answer = self._web.send(
            Request(
                url=f"{self._settings.url}/messages",
                method="POST",
                headers={
                    "Accept": "application/json",
                    "Authorization": f"Bearer {self._settings.key}",
                    "Content-Type": "application/json",
                    "Idempotency-Key": key,
                },
                body=json.dumps(message, sort_keys=True).encode(),
            )
        )
        return message_id(answer.status, answer.headers, answer.body, self._clock())


class NoProvider:
    """Where none is set."""

    def send(self, to: str, text: str, sender: str, key: str) -> str:
        del to, text, sender, key
        raise Reject(f"there is no SMS provider: set {ENV_SMS_KEY}, then retry this job")
