"""What an action came to, said once on the page that comes after it.

In a cookie that only this board writes: an address that somebody was sent cannot make the board say anything.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from starlette.requests import Request
from starlette.responses import Response

COOKIE = "crewcall_said"
LONGEST = 1_000


def say(response: Response, words: str, path: str, *, is_secure: bool) -> None:
    """Have the next page under this path say it."""
    told = urlsafe_b64encode(words[:LONGEST].encode()).decode()
    response.set_cookie(COOKIE, told, max_age=60, path=path, httponly=True, secure=is_secure, samesite="strict")


def take_said(request: Request) -> str:
    """What is to be said, if anything."""
    try:
        return urlsafe_b64decode(request.cookies.get(COOKIE, "")).decode()[:LONGEST]
    except ValueError:
        return ""


def forget(response: Response, path: str) -> None:
    """It was said."""
    response.delete_cookie(COOKIE, path=path)
