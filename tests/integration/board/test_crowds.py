"""Somebody opens connections, and asks for nothing. A whole board by HTTP, with a real Redis behind it."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from tests.support.boards import SECRET, RunningBoard, running_board
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_operator.adapters.lifeline import Lifeline
from crewcall_worker.board import connections
from crewcall_worker.board.doors import COOKIE
from crewcall_worker.board.people import Role
from crewcall_worker.board.tokens import issue

PROGRAM = str(Path(sys.executable).with_name("crewcall-worker"))
AT_ONCE = 5.0
"""Seconds; a board that is left alone takes some milliseconds, and the machine may be busy."""

LARGE = "/admin/queues/static/vendor/htmx-2.0.11.min.js"
SAID = {
    "nothing": b"",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: board\r\nX-Half: ",
    "half a body": b"POST /admin/login HTTP/1.1\r\nHost: board\r\nContent-Length: 60\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken=",
    "half of the next request": b"GET /healthz HTTP/1.1\r\nHost: board\r\n\r\nGET /heal",
    "requests whose answers it does not read": f"GET {LARGE} HTTP/1.1\r\nHost: board\r\n\r\n".encode() * 80,
}
"""What an idle connection has said before it fell silent."""


@pytest.fixture
def board(redis_server: RedisServer) -> Iterator[RunningBoard]:
    with running_board(redis_server.url) as found:
        yield found


@contextmanager
def crowd(url: str, number: int, said: bytes) -> Iterator[list[socket.socket]]:
    """So many connections that each say this and then nothing, and read nothing."""
    place = urlsplit(url)
    assert place.hostname
    assert place.port
    with ExitStack() as stack:
        found = []
        for _ in range(number):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.settimeout(10)
            one.connect((place.hostname, place.port))
            one.setblocking(False)
            with suppress(BlockingIOError, ConnectionError):  # it has said enough, or is put out already
                one.send(said)
            found.append(one)
        yield found


def answers(url: str, token: str) -> dict[str, int]:
    """Of the probes, of the login and of whoever is known, each by a connection of its own."""
    bearer = {"Authorization": f"Bearer {token}"}
    asked = {"/healthz": {}, "/readyz": {}, "/admin/login": {}, "/admin/queues": bearer, "/api/admin/status": bearer}
    return {
        path: httpx2.get(f"{url}{path}", headers=headers, timeout=AT_ONCE).status_code
        for path, headers in asked.items()
    }


ALL_ANSWER = dict.fromkeys(["/healthz", "/readyz", "/admin/login", "/admin/queues", "/api/admin/status"], 200)


def test_hundreds_of_connections_that_say_nothing_keep_nobody_out(board: RunningBoard) -> None:
    with board.browser() as browser, crowd(board.url, 600, b""):
        told = answers(board.url, board.token())
        page = browser.get("/admin/queues", timeout=AT_ONCE)
        connected = len(board.server.server_state.connections)

    assert (told, page.status_code) == (ALL_ANSWER, 200)
    assert connected <= connections.MOST_CONNECTIONS


@pytest.mark.parametrize("said", SAID.values(), ids=SAID.keys())
def test_where_there_is_no_room_those_go_that_keep_the_board_waiting(
    board: RunningBoard, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 20)
    with (
        board.browser() as browser,
        browser.stream("GET", "/admin/queues/stream") as stream,
        crowd(board.url, 40, said),
    ):
        wait_until(lambda: is_kept_waiting_by_all_but_one(board), "all of the crowd to keep the board waiting")
        told = answers(board.url, board.token())
        redis_server.client.sadd("crewcall:dramatiq:queues", "a-new-queue")
        is_told = any("a-new-queue" in text for text in stream.iter_text())

    assert (told, is_told) == (ALL_ANSWER, True)


def is_kept_waiting_by_all_but_one(board: RunningBoard) -> bool:
    """Whether there is no room, and it has been every client's turn for a while, but for the stream's.

    For a while, as between two answers to who asked for many it is the client's turn for a moment.
    """
    found, a_while_ago = waiting(board), time.monotonic() - 0.3
    return len(found) == 20 and sum(it is not None and it < a_while_ago for it in found) == 19


def waiting(board: RunningBoard) -> list[float | None]:
    """Since when each connection keeps the board waiting, or is kept waiting by it."""
    found = list(board.server.server_state.connections)
    return [one.waits_since for one in found if isinstance(one, connections.Connection)]


def test_a_crowd_does_not_use_up_the_files_that_a_board_may_have(redis_server: RedisServer) -> None:
    environment = {
        "REDIS_URL": redis_server.url,
        "CREWCALL_BOARD_JWT_SECRET": SECRET,
        "CREWCALL_BOARD_PORT": "0",
        "CREWCALL_LOG_FORMAT": "json",
    }
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))  # noqa: E731
    with subprocess.Popen(
        [PROGRAM, "board"], env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=few
    ) as process:
        try:
            assert process.stderr is not None
            line = next(line for line in process.stderr if "The board is at" in line)
            (url,) = re.findall(r"http://127\.0\.0\.1:\d+", line)
            with ExitStack() as stack:
                for _ in range(25):
                    stack.enter_context(crowd(url, 10, b""))
                    assert httpx2.get(f"{url}/healthz", timeout=AT_ONCE).status_code == 200
                told = answers(url, issue(SECRET, "jane", Role.VIEWER, 600))
        finally:
            process.terminate()
        rest = process.stderr.read()

    assert told == ALL_ANSWER
    assert "Traceback" not in rest
    assert "Too many open files" not in rest


@pytest.mark.parametrize("said", SAID.values(), ids=SAID.keys())
def test_whoever_keeps_the_board_waiting_is_put_out(
    board: RunningBoard, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.2)
    put_out, lost = [], connections.Connection.connection_lost

    def count(connection: connections.Connection, error: Exception | None) -> None:
        put_out.append(connection)
        lost(connection, error)

    monkeypatch.setattr(connections.Connection, "connection_lost", count)
    with crowd(board.url, 3, said):
        wait_until(lambda: len(put_out) == 3, "the board to have put them out")


def test_a_board_lives_while_all_its_threads_wait_for_redis() -> None:
    asked = f"GET /admin/queues HTTP/1.1\r\nHost: board\r\nCookie: {COOKIE}=guessed\r\n\r\n".encode()
    with Lifeline() as lifeline, EmbeddedRedis(lifeline=lifeline) as server, running_board(server.url) as board:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with crowd(board.url, 60, asked):
                wait_until(lambda: sum(it is None for it in waiting(board)) == 60, "the board to look for sessions")
                lives = httpx2.get(f"{board.url}/healthz", timeout=AT_ONCE).status_code
                wait_until(
                    lambda: sum(it is None for it in waiting(board)) == 60, "the crowd to wait on, and none else"
                )
        finally:
            os.kill(server.pid, signal.SIGCONT)

    assert lives == 200


def test_whom_the_board_keeps_waiting_stays(
    board: RunningBoard, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.05)
    with board.browser() as browser, browser.stream("GET", "/admin/queues/stream") as stream:
        events = stream.iter_text()
        for name in ("first", "second"):  # it looks once a second
            redis_server.client.sadd("crewcall:dramatiq:queues", name)
            assert any(name in text for text in events)
