"""What every test may ask for: one real Redis for the session, empty for each test."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from tests.support.redis import RedisServer, emptied

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_operator.adapters.lifeline import Lifeline


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test logs may hold what is no text, which cannot be told to the process that reports."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def signals_for_others() -> Iterator[None]:
    """Have every process that a test starts take signals as it would from a prompt.

    In the background (`make test &`) and under nohup this process ignores some of them, which others inherit. A handler
    is not inherited; this one does nothing either.
    """
    ignored = [it for it in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(it) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda *_: None)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this process, and every one that it starts with its environment, makes what it calls temporary.

    It goes with the session, and with it what those leave behind that were killed. It is not named by the test, nor
    within its folder: the path of a Unix socket has a hundred bytes.
    """
    folder = tmp_path_factory.mktemp("tmp", numbered=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder
    shutil.rmtree(folder, ignore_errors=True)  # a Redis that is on its way out may still write there


@pytest.fixture(scope="session")
def embedded_redis(temporary_folder: Path) -> Iterator[EmbeddedRedis]:
    """The session's own server. For outages, start an `EmbeddedRedis` of your own instead: others share this one."""
    with Lifeline() as lifeline, EmbeddedRedis(lifeline=lifeline) as server:
        yield server


@pytest.fixture
def redis_server(embedded_redis: EmbeddedRedis) -> Iterator[RedisServer]:
    """A real Redis that is empty when the test begins: `.url` and `.client`."""
    with emptied(embedded_redis) as server:
        yield server
