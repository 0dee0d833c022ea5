"""Text that others have written parts of, so that it can be shown and kept. Pure."""

from __future__ import annotations

import re

# Control characters but tab and line feed, and those that turn the direction of the text beside them.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    r"""What a terminal would obey rather than show, is shown: "\u001b" for an escape, as JSON writes it too."""
    return OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def encodable(text: str) -> str:
    r"""With "\ud800" for half a character, which JSON can tell of and no encoding can write."""
    return text.encode(errors="backslashreplace").decode()
