"""The board beside `crewcall local`: its address is told, logs in once, and is gone with the run."""

from __future__ import annotations

import http.client
import re
import signal
import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.integration.test_local import Local, local
from tests.support.redis import RedisServer
from tests.support.waiting import DEADLINE, wait_until

from crewcall_worker import wire
from crewcall_worker.board.settings import PORT


def address(running: Local) -> str:
    running.wait_for("Board http://127.0.0.1:")
    (found,) = re.findall(r"^Board (\S+)$", running.text(), re.MULTILINE)
    return str(found)


def answers(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as connection:
        return connection.connect_ex((str(parts.hostname), int(parts.port or 0))) == 0


def ask(url: str, cookie: str = "") -> http.client.HTTPResponse:
    """The answer to a GET, whose redirects are not followed."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=DEADLINE)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}", headers={"Cookie": cookie})
        answer = connection.getresponse()
        answer.read()
        return answer


def test_its_address_logs_in_once_and_is_gone_with_the_run(redis_server: RedisServer, tmp_path: Path) -> None:
    with local(tmp_path, "--redis", redis_server.url, "--board") as running:
        url = address(running)
        wait_until(lambda: answers(url), "the board to listen")

        first, second = ask(url), ask(url)
        inside = ask(url.partition("/admin")[0] + "/admin/queues", str(first.headers["set-cookie"]).partition(";")[0])

        assert (first.status, first.headers["location"], inside.status) == (303, "/admin/queues", 200)
        assert second.status in (401, 403)
        running.process.send_signal(signal.SIGINT)
        assert running.exit_status() == 0
    assert not answers(url)
    assert len(f"Board {url}") <= 80  # where the port has five digits, too, it is not cut on a terminal


def test_the_pools_are_told_of_to_whoever_reads_their_redis(redis_server: RedisServer, tmp_path: Path) -> None:
    keys = wire.Keys()
    with local(tmp_path, "--redis", redis_server.url):
        wait_until(lambda: redis_server.client.zcard(keys.pools) == 1, "the pool to be told of")
        (name,) = map(str, redis_server.client.zrange(keys.pools, 0, -1))
        record = wire.read_pool(name, str(redis_server.client.get(keys.pool(name))))

    assert (record.queues, record.desired, record.reason) == (("sms",), 0, "Idle")
    assert redis_server.client.exists(keys.pools, keys.pool(name)) == 0  # nobody scales it any more


def test_where_the_usual_port_is_taken_it_has_another(redis_server: RedisServer, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", PORT))
        except OSError:
            pass  # somebody else has it: as well
        else:
            other.listen()
        with local(tmp_path, "--redis", redis_server.url, "--board") as running:
            assert urlsplit(address(running)).port != PORT


def test_runs_that_start_together_have_a_board_each(redis_server: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with (
        local(tmp_path, "--redis", redis_server.url, "--board") as one,
        local(tmp_path / "other", "--redis", redis_server.url, "--board") as other,
    ):
        assert [ask(address(running)).status for running in (one, other)] == [303, 303]


def test_the_run_goes_on_without_a_board_that_cannot_start_and_says_why(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREWCALL_BOARD_SESSION_HOURS", "long")
    with local(tmp_path, "--redis", redis_server.url, "--board") as running:
        running.wait_for("There is no board: crewcall-worker: CREWCALL_BOARD_SESSION_HOURS is 'long'; ")
        assert running.process.poll() is None


def test_a_port_for_the_board_that_somebody_has_is_refused(redis_server: RedisServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with local(tmp_path, "--redis", redis_server.url, "--board", "--board-port", port) as running:
            assert running.exit_status() == 2

    assert running.text().endswith(
        f"Error: Invalid value for --board-port: nobody can listen on port {port} of 127.0.0.1. "
        "Name another, or leave it out.\n"
    )


@pytest.mark.parametrize("variable", ["CREWCALL_BOARD_ISSUER", "CREWCALL_BOARD_PREFIX"])
def test_what_the_environment_says_of_a_board_for_others_is_none_of_its_business(
    redis_server: RedisServer, tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "/nonsense")
    with local(tmp_path, "--redis", redis_server.url, "--board") as running:
        url = address(running)
        wait_until(lambda: answers(url), "the board to listen")
