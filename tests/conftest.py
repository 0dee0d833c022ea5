"""What every test may ask for: one real Redis for the session, empty for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.redis import RedisServer, emptied

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis


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
