"""What surrounds every answer and every request: headers for the browser, the path prefix, the size of a body.

Plain ASGI, so that a stream of events passes through as it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crewcall_worker.board.problems import TooLarge

MOST_BYTES = 65_536
"""Of a request's body: the largest there is has a token in it."""
MOST_READ_ON = 1_048_576
"""Bytes of a refused body that are read and thrown away, as whoever is still sending is cut off before the answer."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # "no-referrer" would make the Origin of the board's own forms "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class SecurityHeaders:
    """On every answer, errors included. Nothing is kept by a browser or a proxy unless the answer says so itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Prefix:
    """The board under a path: the same whether the proxy before it leaves that on the path or takes it off."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._prefix:
            path: str = scope["path"]
            if path == self._prefix:
                scope = {**scope, "path": self._prefix + "/"}  # as people type it
            elif not path.startswith(self._prefix + "/"):
                scope = {**scope, "path": self._prefix + path}
            scope = {**scope, "root_path": self._prefix}
        await self._app(scope, receive, send)


class SmallBodies:
    """Refuses a body that is larger than any has to be, whether or not it says so; `tell` makes the answer."""

    def __init__(self, app: ASGIApp, tell: Callable[[Request, Exception], Response]) -> None:
        self._app = app
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "0")
        if not told.isdecimal() or int(told) > MOST_BYTES:
            await self._refuse(scope, receive, send)
            return
        read = 0
        has_begun = False

        async def receive_some() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MOST_BYTES:
                raise _BodyTooLarge
            return message

        async def send_unless_refused(message: Message) -> None:
            nonlocal has_begun
            if read <= MOST_BYTES or has_begun:
                has_begun = True
                await send(message)

        # Whoever reads the body may take that for a failure of his own, and answer it.
        with suppress(_BodyTooLarge):
            await self._app(scope, receive_some, send_unless_refused)
        if read > MOST_BYTES and not has_begun:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "expect" not in Headers(scope=scope):  # whoever asks first has sent nothing yet
            await _read_on(receive)
        words = f"the request's body has more than {MOST_BYTES} bytes"
        answer = self._tell(Request(scope), TooLarge(words))
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)


async def _read_on(receive: Receive) -> None:
    read = 0
    is_more = True
    while is_more and read < MOST_READ_ON:
        message = await receive()
        read += len(message.get("body", b""))
        is_more = message.get("more_body", False)


class _BodyTooLarge(Exception):
    """A body went on for too long."""
