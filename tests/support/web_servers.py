"""HTTP servers on the loopback that answer as a test says, and fail in all the ways that servers do.

Sockets, not a framework: no framework lets one break HTTP.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came. The names of its headers are in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)


Act = Callable[[socket.socket, threading.Event], None]
"""What the server does with a connection whose request has been read; the event is set when the server stops."""


def reply(status: int = 200, body: bytes | str = b"", **headers: str) -> Act:
    """An answer in order; `content_type="text/html"` is a header."""
    data = body if isinstance(body, bytes) else body.encode()

    def act(connection: socket.socket, _stopped: threading.Event) -> None:
        connection.sendall(_head(status, {"content-length": str(len(data)), **_named(headers)}) + data)

    return act


def reply_json(status: int, said: object, **headers: str) -> Act:
    return reply(status, json.dumps(said), content_type="application/json", **headers)


def reset() -> Act:
    """The connection is torn down without a word."""

    def act(connection: socket.socket, _stopped: threading.Event) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return act


def hang() -> Act:
    """Nothing comes, ever."""

    def act(_connection: socket.socket, stopped: threading.Event) -> None:
        stopped.wait()

    return act


def drip() -> Act:
    """A byte now and then, without an end."""

    def act(connection: socket.socket, stopped: threading.Event) -> None:
        connection.sendall(_head(200, {}))
        while not stopped.wait(0.02):
            connection.sendall(b".")

    return act


def flood(pieces: int = 1000, piece: bytes = b"x" * 10_000, **headers: str) -> Act:
    """More and more, without a length said before."""

    def act(connection: socket.socket, _stopped: threading.Event) -> None:
        connection.sendall(_head(200, _named(headers)))
        for _ in range(pieces):
            connection.sendall(piece)

    return act


def break_off() -> Act:
    """Less than was announced."""

    def act(connection: socket.socket, _stopped: threading.Event) -> None:
        connection.sendall(_head(200, {"content-length": "1000"}) + b"some")

    return act


def talk_nonsense() -> Act:
    """No HTTP at all."""

    def act(connection: socket.socket, _stopped: threading.Event) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    return act


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join([*lines, "connection: close"]) + "\r\n\r\n").encode("latin-1")


@dataclass(slots=True)
class WebServer:
    """A running server. `script`: what it does, request by request; the last of it is done again and again."""

    port: int
    script: list[Act] = field(default_factory=lambda: [reply()])
    seen: list[Seen] = field(default_factory=list)

    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def will(self, *script: Act) -> None:
        """From now on it does this."""
        self.script = list(script)

    def _next(self) -> Act:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextlib.contextmanager
def web_server(*script: Act, tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """A server on a port of its own, which ends with the context."""
    stopped, threads = threading.Event(), []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = WebServer(listener.getsockname()[1], scheme="https" if tls else "http")
        if script:
            server.will(*script)

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                if stopped.is_set():
                    connection.close()
                    return
                threads.append(threading.Thread(target=_serve, args=(server, connection, stopped, tls)))
                threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            stopped.set()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
            for thread in [accepting, *threads]:
                thread.join(timeout=10)


def _serve(server: WebServer, connection: socket.socket, stopped: threading.Event, tls: ssl.SSLContext | None) -> None:
    with contextlib.ExitStack() as opened:
        opened.enter_context(connection)
        connection.settimeout(10)
        # A client that has heard enough goes: that is its right.
        with contextlib.suppress(OSError):
            if tls is not None:
                connection = opened.enter_context(tls.wrap_socket(connection, server_side=True))
            seen = _read(connection)
            if seen is None:
                return
            server.seen.append(seen)
            server._next()(connection, stopped)


def _read(connection: socket.socket) -> Seen | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65_536)
    return Seen(method, path, headers, body)


def bodies(seen: Sequence[Seen]) -> list[object]:
    """What was posted, read as JSON."""
    return [one.json for one in seen]
