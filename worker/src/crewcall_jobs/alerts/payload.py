"""What `alerts.dispatch` carries."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from crewcall_jobs.contacts import EmailAddress, Line, PhoneNumber, WebUrl
from crewcall_jobs.parts import Part
from crewcall_worker.queues import Payload

MOST_CHANNELS: Final = 20


class Severity(StrEnum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class EmailChannel(Part):
    """By mail, to one address."""

    kind: Literal["email"] = "email"
    to: EmailAddress = Field(repr=False)


class WebhookChannel(Part):
    """By an HTTP POST, signed with the organisation's secret: see `signing`."""

    kind: Literal["webhook"] = "webhook"
    url: WebUrl = Field(repr=False)


class SmsChannel(Part):
    """By text message, to one number."""

    kind: Literal["sms"] = "sms"
    to: PhoneNumber = Field(repr=False)


Channel = Annotated[EmailChannel | WebhookChannel | SmsChannel, Field(discriminator="kind")]


class Alert(Payload):
    """Something to be told now. Another alert of the organisation with the same `alert_key` is none for five
    minutes. `occurred_at`: where it is not said, when it is enqueued; of an alert by a schedule, when it is told."""

    alert_key: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    title: Line = Field(repr=False)
    text: Annotated[str, StringConstraints(max_length=10_000)] = Field(default="", repr=False)
    severity: Severity = Severity.WARNING
    url: WebUrl | None = Field(default=None, repr=False)
    occurred_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=MOST_CHANNELS)] = Field(repr=False)
