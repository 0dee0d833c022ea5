"""What others have written, as it may be shown to people. Pure."""

from __future__ import annotations


def shown(text: str) -> str:
    """The text without what a terminal would obey, or a database not take: each such character is a question mark."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
