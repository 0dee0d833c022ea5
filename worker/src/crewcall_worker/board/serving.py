"""The board's own server: uvicorn, with what the board asks of it."""

from __future__ import annotations

import logging
import signal
import socket

import uvicorn

from crewcall_worker.board.app import make_app
from crewcall_worker.board.connections import Connection, backlog
from crewcall_worker.board.settings import ENV_HOST, ENV_LISTENER, BoardSettings
from crewcall_worker.board.templating import PAGES
from crewcall_worker.errors import BadSetting

GRACE = 3
"""Seconds for what is being answered when the board is told to end; streams do not end by themselves."""

log = logging.getLogger(__name__)


def serve(settings: BoardSettings) -> None:
    """Answer until told to stop. Raises `BadSetting` where the address cannot be had."""
    app = make_app(settings)
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}{settings.prefix}{PAGES}"
    log.info("The board is at %s%s", address, ", read only" if settings.is_read_only else "")
    if not settings.is_loopback and not settings.trusted_proxies:
        log.info(
            "It speaks plain HTTP: put something with TLS before it, and name that in CREWCALL_BOARD_TRUSTED_PROXIES"
        )
    for number in (signal.SIGTERM, signal.SIGINT):
        # Uvicorn sends itself once more what ended it; by then there is nothing left to end.
        signal.signal(number, lambda *_: None)
    server_of(app, settings).run(sockets=[listener])


def server_of(app: object, settings: BoardSettings) -> uvicorn.Server:
    """A server of the application that listens nowhere yet."""
    return uvicorn.Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]
            log_config=None,
            access_log=False,  # a ticket may be in an address
            server_header=False,
            # Else whoever connects could say that he comes from elsewhere.
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            http=Connection,
            backlog=backlog(),
            timeout_graceful_shutdown=GRACE,
            ws="none",
        )
    )


def _listen(settings: BoardSettings) -> socket.socket:
    if settings.listener:
        return _handed(settings.listener)
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Told by its number that it is TCP: for no other asyncio turns Nagle's algorithm off, which costs a page 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, settings.port))
    except OSError as error:
        listener.close()
        raise BadSetting(
            ENV_HOST,
            settings.host,
            f"nobody can listen there on port {settings.port}: {error.strerror}. Name another CREWCALL_BOARD_PORT",
        ) from error
    listener.listen()  # whoever reads in the log where the board is may ask it from then on
    return listener


def _handed(number: int) -> socket.socket:
    """The socket that whoever started the board has opened for it."""
    try:
        return socket.socket(fileno=number)
    except OSError as error:
        raise BadSetting(
            ENV_LISTENER, str(number), f"that is no socket: {error.strerror}. Leave it to `crewcall local`"
        ) from error
