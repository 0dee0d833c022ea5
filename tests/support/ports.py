"""Ports for programs that want to be told theirs beforehand; whoever can takes port 0 instead.

They are below those that Linux gives to outgoing connections and to port 0 (ip_local_port_range begins at 32768), of
which one may be somebody else's by the time that the program listens. Chance keeps several test runs apart.
"""

from __future__ import annotations

import secrets
import socket

HOST = "127.0.0.1"
FIRST, COUNT = 12_000, 20_000


def free_port() -> int:
    """One that nobody listens on."""
    while True:
        port = FIRST + secrets.randbelow(COUNT)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError:
                continue
            return port
