"""What a server says of when to come again: `Retry-After`, as seconds or as a date (RFC 9110, section 10.2.3). Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = 3600.0
"""Seconds; nobody's word puts a job off for longer."""


def seconds_to_wait(header: str | None, now: datetime) -> float | None:
    """Seconds from `now`, at most `LONGEST`; None where it is not said, or nobody can tell what is said."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), LONGEST)
    try:
        then = parsedate_to_datetime(text)
        if then.tzinfo is None:
            then = then.replace(tzinfo=UTC)
        return min(max(0.0, (then - now).total_seconds()), LONGEST)
    except (ValueError, OverflowError):
        return None
