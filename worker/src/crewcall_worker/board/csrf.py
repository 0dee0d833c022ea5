"""That a request which changes something comes from the board's own pages, and not from another site's.

Two things are asked of a browser: that it does not say the request comes from elsewhere (Sec-Fetch-Site, or Origin
where that is not sent), and the session's token, in the header X-CSRF-Token or in the form's field `csrf`. A request
with a bearer token needs neither: no browser sends that by itself.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request

from crewcall_worker.board.problems import Forbidden, Refusal
from crewcall_worker.board.sessions import Session

HEADER = "X-CSRF-Token"
FIELD = "csrf"

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def check_origin(request: Request) -> None:
    """Raises `Forbidden` where the browser says that the request is another site's."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_own = site in ("same-origin", "none")
    elif origin is not None:
        is_own = _host(origin) == request.headers.get("host", "").lower()
    else:
        is_own = True  # no browser of these years
    if not is_own:
        raise Forbidden("the request comes from another site")


async def check_token(request: Request, session: Session) -> None:
    """Raises `Forbidden` where the session's token is not with the request."""
    check_origin(request)
    told = request.headers.get(HEADER)
    if told is None and request.headers.get("content-type", "").startswith(_FORMS):
        field = (await form_of(request)).get(FIELD)
        told = field if isinstance(field, str) else None
    if told is None or not secrets.compare_digest(told.encode(errors="replace"), session.csrf.encode()):
        raise Forbidden("the request does not have the page's token. Load the page anew and try again")


async def form_of(request: Request) -> FormData:
    """What the request's form says. Raises `Refusal` where nobody can read it."""
    try:
        return await request.form()
    except UnicodeError as error:
        raise Refusal("the form cannot be read: its charset is none") from error


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
