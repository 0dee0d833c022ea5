"""`crewcall-worker board` as a process of its own, and the tokens that it issues."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from tests.support.redis import RedisServer
from tests.support.waiting import DEADLINE

PROGRAM = str(Path(sys.executable).with_name("crewcall-worker"))


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *words], env=environment, capture_output=True, text=True, check=False)


def test_a_board_starts_lets_in_whoever_has_its_token_and_ends_when_it_is_told_to(redis_server: RedisServer) -> None:
    secret = run("board", "secret").stdout.strip()
    told = {
        "REDIS_URL": redis_server.url,
        "CREWCALL_BOARD_JWT_SECRET": secret,
        "CREWCALL_BOARD_PORT": "0",
        "CREWCALL_BOARD_PREFIX": "/crew",
        "CREWCALL_LOG_FORMAT": "json",
    }
    token = run("board", "token", "--subject", "jane", "--role", "operator", "--for", "5m", **told).stdout.strip()
    with subprocess.Popen([PROGRAM, "board"], env=told, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "The board is at" in line)
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+", line)
        status = httpx2.get(
            f"{address}/crew/api/admin/status", headers={"Authorization": f"Bearer {token}"}, timeout=DEADLINE
        )
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()

    assert (status.status_code, status.json()["subject"], status.json()["role"]) == (200, "jane", "operator")
    assert (process.returncode, "Traceback" in rest) == (0, False)
    assert token not in line + rest
    assert secret not in line + rest


def test_nothing_starts_without_a_door() -> None:
    done = run("board", REDIS_URL="redis://localhost")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "crewcall-worker: CREWCALL_BOARD_JWT_SECRET is not set; without it nobody could log in."
    )


def test_a_port_that_somebody_has_is_told_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(
            "board", REDIS_URL="redis://localhost", CREWCALL_BOARD_JWT_SECRET="x" * 40, CREWCALL_BOARD_PORT=str(port)
        )

    assert done.returncode == 2
    assert f"nobody can listen there on port {port}" in done.stderr
    assert "Name another CREWCALL_BOARD_PORT" in done.stderr


def test_a_handed_down_file_that_is_no_socket_is_told() -> None:
    done = run("board", REDIS_URL="redis://localhost", CREWCALL_BOARD_JWT_SECRET="x" * 40, CREWCALL_BOARD_LISTENER="2")

    assert done.returncode == 2
    assert "CREWCALL_BOARD_LISTENER is '2'; that is no socket" in done.stderr


@pytest.mark.parametrize(
    ("words", "environment", "problem"),
    [
        (("--subject", "jane"), {}, "CREWCALL_BOARD_JWT_SECRET is not set"),
        (("--subject", "jane\n"), {"CREWCALL_BOARD_JWT_SECRET": "x" * 40}, "expected 1 to 200 printable characters"),
        (("--subject", "jane", "--for", "soon"), {"CREWCALL_BOARD_JWT_SECRET": "x" * 40}, "'soon' is no time"),
        (("--subject", "jane", "--role", "root"), {"CREWCALL_BOARD_JWT_SECRET": "x" * 40}, "'root' is not one of"),
    ],
)
def test_a_token_that_cannot_be_issued_is_told_why(
    words: tuple[str, ...], environment: dict[str, str], problem: str
) -> None:
    done = run("board", "token", *words, **environment)

    assert (done.returncode, done.stdout, problem in done.stderr) == (2, "", True)
