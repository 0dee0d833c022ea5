"""How people and places are written in payloads: telephone numbers, e-mail addresses, addresses of pages.

Each is checked for its form only; whether anybody is there is for the job to find out. Fields of these types want
`repr=False` where a person is behind them. In the patterns `$` is the end and nothing else: they are Rust's, not
Python's.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, StringConstraints

_CONTROLS = r"\x00-\x1f\x7f-\x9f"

PhoneNumber = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
"""As E.164 has it: "+", country code and number, no spaces."""

EmailAddress = Annotated[
    str,
    StringConstraints(
        max_length=254,  # RFC 5321, section 4.5.3.1.3, less the angle brackets
        pattern=r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
        r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+$",
    ),
]
"""RFC 5322's dot-atom, without comments and quotes, at a domain with a dot; an international domain is written in its
ASCII form (xn--)."""


def _check_host(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_one = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False  # and urllib's words may hold a part of it
    if not is_one:
        raise ValueError("expected a host's name or address, and if need be a port from 1 to 65535")
    return url


WebUrl = Annotated[
    str,
    StringConstraints(max_length=2000, pattern=rf"^https?://[^\s/?#@\\{_CONTROLS}]+([/?#][^\s{_CONTROLS}]*)?$"),
    AfterValidator(_check_host),
]
"""An http or https address without user and password, and without control characters."""

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=rf"^[^{_CONTROLS}\u2028\u2029]+$")]
"""One line of text, as a subject is: no control character can start a header of its own."""
