"""What an alert says on each channel. Pure, but for the templates' files."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Final

from crewcall_jobs.alerts.payload import Alert
from crewcall_jobs.email.mail import Mail
from crewcall_jobs.templates import Templates

LONGEST_SMS: Final = 459
"""Characters: three parts of 153, as GSM 03.38 has them."""


def mail(alert: Alert, to: str, templates: Templates) -> Mail:
    """Raises `Reject` where a template is at fault."""
    at = alert.occurred_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Mail(
        to=to,
        subject=f"[{alert.severity.value}] {alert.title}",
        text=templates.render("alert.txt", alert=alert, at=at),
        html=templates.render("alert.html", alert=alert, at=at),
    )


def text_message(alert: Alert, templates: Templates) -> str:
    """Short: a text message is paid for by its length."""
    text = templates.render("alert.sms.txt", alert=alert).strip()
    return text if len(text) <= LONGEST_SMS else f"{text[: LONGEST_SMS - 1]}…"


def webhook_body(alert: Alert) -> bytes:
    """The same bytes at every try of one alert, but for the time of one by a schedule that says none."""
    said = {
        "type": "alert.raised",
        "timestamp": alert.occurred_at.isoformat(),
        "data": {
            "organization_id": alert.organization_id,
            "alert_key": alert.alert_key,
            "severity": alert.severity.value,
            "title": alert.title,
            "text": alert.text,
            "url": alert.url,
        },
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
