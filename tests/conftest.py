"""What every test may ask for: one real Redis for the session, empty for each test."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from tests.support.redis import RedisServer, emptied

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test logs may hold what is no text, which cannot be told to the process that reports."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def embedded_redis() -> Iterator[EmbeddedRedis]:
    """The session's own server. For outages, start an `EmbeddedRedis` of your own instead: others share this one."""
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def redis_server(embedded_redis: EmbeddedRedis) -> Iterator[RedisServer]:
    """A real Redis that is empty when the test begins: `.url` and `.client`."""
    with emptied(embedded_redis) as server:
        yield server
