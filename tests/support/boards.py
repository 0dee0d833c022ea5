"""A whole board for tests: uvicorn on a port of its own, in a thread, with a real Redis behind it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import uvicorn
from fastapi import FastAPI
from tests.support.waiting import DEADLINE, wait_until

from crewcall_worker.board.app import make_app
from crewcall_worker.board.people import Role
from crewcall_worker.board.serving import server_of
from crewcall_worker.board.settings import BoardSettings, board_settings
from crewcall_worker.board.tokens import issue

SECRET = "a secret of tests, of more than thirty-two bytes"


@dataclass(frozen=True, slots=True)
class RunningBoard:
    """A board at `url`, which has its prefix on it and no slash at its end."""

    url: str
    settings: BoardSettings
    app: FastAPI
    server: uvicorn.Server

    def token(self, role: Role = Role.OPERATOR, subject: str = "jane", seconds: float = 600.0) -> str:
        return issue(SECRET, subject, role, seconds)

    @contextmanager
    def api(self, role: Role = Role.OPERATOR, subject: str = "jane") -> Iterator[httpx2.Client]:
        """A client of the API with a bearer token."""
        headers = {"Authorization": f"Bearer {self.token(role, subject)}"}
        with httpx2.Client(base_url=f"{self.url}/api/admin", headers=headers, timeout=DEADLINE) as client:
            yield client

    @contextmanager
    def stranger(self) -> Iterator[httpx2.Client]:
        """A client whom nobody knows; it keeps cookies, and follows no redirects."""
        with httpx2.Client(base_url=self.url, timeout=DEADLINE) as client:
            yield client

    @contextmanager
    def browser(self, role: Role = Role.OPERATOR, subject: str = "jane") -> Iterator[httpx2.Client]:
        """A client that has logged in as a browser does."""
        with self.stranger() as client:
            answer = client.post("/admin/login", data={"token": self.token(role, subject)})
            assert answer.status_code == 303, answer.text
            yield client


@contextmanager
def running_board(redis_url: str, **environment: str) -> Iterator[RunningBoard]:
    """A board on this Redis, with these settings besides: READ_ONLY="true" for CREWCALL_BOARD_READ_ONLY."""
    told = {f"CREWCALL_BOARD_{name}": value for name, value in environment.items()}
    if "CREWCALL_BOARD_ISSUER" not in told:
        told.setdefault("CREWCALL_BOARD_JWT_SECRET", SECRET)
    settings = board_settings({"REDIS_URL": redis_url, **told})
    app = make_app(settings)
    listener = socket.create_server(("127.0.0.1", 0))
    server = server_of(app, settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="board")
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), "the board to listen")
        yield RunningBoard(f"http://127.0.0.1:{listener.getsockname()[1]}{settings.prefix}", settings, app, server)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
