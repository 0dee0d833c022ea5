"""The board beside a local run: a process of its own on the loopback, with a way in for who sees the terminal.

It is told of its Redis and its settings by the environment (docs/board/settings.md): of a secret that sessions stand on
and a ticket that logs in once, both of which end with it. It is handed the socket it listens on, which is opened here:
a port that is only looked for may be somebody else's by the time the board is up, and then our address led to a
stranger. Nor is there a run where the port that was asked for is somebody else's; but where the board is not installed,
or does not start, the run goes on without, and says so.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from crewcall_operator.adapters.lifeline import Lifeline
from crewcall_operator.errors import CrewcallError
from crewcall_worker import wire

HOST: Final = "127.0.0.1"
PROGRAM: Final = "crewcall-worker"
SETTING: Final = "CREWCALL_BOARD_"
USUAL_PORT: Final = 8440
STOPPED_WITHIN: Final = 4.0

#: What a user's own environment may say of the board that runs here; the rest is for one that others reach.
KEPT: Final = ("CREWCALL_BOARD_REDACT", "CREWCALL_BOARD_READ_ONLY", "CREWCALL_BOARD_SESSION_HOURS")


class PortTaken(CrewcallError):
    """Nobody can listen on the port that was asked for."""


class BoardProcess:
    """The board for the Redis at `url`; entering starts it and waits for nothing, leaving ends it."""

    def __init__(
        self, url: str, namespace: str, inherited: Mapping[str, str], log: Path, lifeline: Lifeline, port: int | None
    ) -> None:
        """`inherited` is the environment of this process, `log` a file for what the board says, which is gone after a
        run in which it served. Without a `port` it is the usual one, or where somebody has that, another.

        Entering raises `PortTaken`.
        """
        self._ports = (port,) if port else (USUAL_PORT, 0)
        self._port = self._ports[0]
        self._ticket = secrets.token_urlsafe(24)  # no longer: the address shall fit in a line of 80 columns
        self._log = log
        self._lifeline = lifeline
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            **{name: value for name, value in inherited.items() if not name.startswith(SETTING) or name in KEPT},
            wire.ENV_REDIS_URL: url,
            wire.ENV_REDIS_NAMESPACE: namespace,
            "CREWCALL_BOARD_HOST": HOST,
            "CREWCALL_BOARD_JWT_SECRET": secrets.token_urlsafe(48),
            "CREWCALL_BOARD_TICKET": self._ticket,
        }

    @property
    def address(self) -> str:
        """Where to log in, once."""
        return f"http://{HOST}:{self._port}/admin/login?ticket={self._ticket}"

    @property
    def has_failed(self) -> str | None:
        """Why there is no board, in its own last words; None while it runs, or starts."""
        if self._process is None or self._process.poll() is None:
            return None
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with status {self._process.returncode}"

    def answers_within(self, seconds: float) -> bool:
        """Whether it answers; waits for it."""
        deadline = time.monotonic() + seconds
        while self.has_failed is None and time.monotonic() < deadline:
            try:
                with closing(HTTPConnection(HOST, self._port, timeout=seconds)) as connection:  # by no proxy
                    connection.request("GET", "/healthz")
                    connection.getresponse()
            except (OSError, HTTPException):
                time.sleep(0.05)
            else:
                return True
        return False

    def __enter__(self) -> Self:
        # This installation's program first, as with the workers.
        path = os.pathsep.join([str(Path(sys.executable).parent), self._environment.get("PATH", os.defpath)])
        program = shutil.which(PROGRAM, path=path) or PROGRAM
        with _listener(self._ports) as listener, self._log.open("ab") as output:
            self._port = listener.getsockname()[1]
            where = {"CREWCALL_BOARD_LISTENER": str(listener.fileno()), "CREWCALL_BOARD_PORT": str(self._port)}
            # A session of its own: the terminal's Ctrl-C is for `crewcall local`, which drains before it ends this.
            self._process = subprocess.Popen(
                [program, "board"],
                env={**self._environment, **where},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[listener.fileno()],
            )
        self._lifeline.hold(self._process.pid, STOPPED_WITHIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        runs = self.has_failed is None
        process.terminate()
        try:
            process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._lifeline.let_go(process.pid)
        if runs:  # what it said is of use only where it did not
            self._log.unlink(missing_ok=True)


def _listener(ports: Sequence[int]) -> socket.socket:
    """A socket that listens on the first of these ports that is free (0: any)."""
    for port in ports:
        with suppress(OSError):
            return socket.create_server((HOST, port))
    raise PortTaken(f"nobody can listen on port {ports[0]} of {HOST}")
