"""What Redis answers, as text and numbers."""

from __future__ import annotations


def text(value: str | bytes | None) -> str:
    """What Redis answered as text; "" for nothing."""
    if value is None:
        return ""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def number(value: str | bytes | None) -> int:
    """A counter; 0 where there is none, or it is no number."""
    try:
        return int(value or 0)
    except ValueError:
        return 0
