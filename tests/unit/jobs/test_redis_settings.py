"""Which Redis the environment names."""

from __future__ import annotations

import pytest

from crewcall_worker.errors import BadSetting
from crewcall_worker.redis_settings import has_redis
from crewcall_worker.settings import from_environment

HOST = {"REDIS_HOST": "cache.shop"}


@pytest.mark.parametrize(
    ("environment", "url", "password"),
    [
        (HOST, "redis://cache.shop:6379/0", ""),
        (
            {**HOST, "REDIS_PORT": "6380", "REDIS_DB": "3", "REDIS_PASSWORD": "p@ss/word\n"},
            "redis://cache.shop:6380/3",
            "p@ss/word",
        ),
        ({"REDIS_HOST": "fd00::5"}, "redis://[fd00::5]:6379/0", ""),
        ({**HOST, "REDIS_PORT": "tcp://10.96.0.5:6381"}, "redis://cache.shop:6381/0", ""),
        ({**HOST, "REDIS_PORT": "", "REDIS_DB": ""}, "redis://cache.shop:6379/0", ""),
        ({**HOST, "REDIS_PASSWORD": "one", "CREWCALL_REDIS_PASSWORD": "other"}, "redis://cache.shop:6379/0", "other"),
    ],
)
def test_a_redis_may_be_named_by_its_host(environment: dict[str, str], url: str, password: str) -> None:
    settings = from_environment(environment)

    assert has_redis(environment)
    assert (settings.redis_url, settings.redis_password) == (url, password)


@pytest.mark.parametrize(
    "url", ["redis://h", "rediss://h/", "redis://h/15", "redis://h?db=2", "unix:///tmp/redis.sock"]
)
def test_a_url_may_name_its_database(url: str) -> None:
    assert from_environment({"REDIS_URL": url}).redis_url == url


def test_beside_a_url_the_host_and_what_goes_with_it_count_for_nothing() -> None:
    settings = from_environment(
        {**HOST, "REDIS_URL": "redis://queues/1", "REDIS_PORT": "nonsense", "REDIS_PASSWORD": "secret"}
    )

    assert (settings.redis_url, settings.redis_password) == ("redis://queues/1", "")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, r"REDIS_URL is not set; set it to where the queues live"),
        (
            {"REDIS_HOST": "redis://me:secret@cache"},
            r"REDIS_HOST is '\(not shown\)'; write a name or an address; for a URL there is REDIS_URL",
        ),
        ({"REDIS_URL": "redis://h/notadb"}, r"REDIS_URL is '\(not shown\)'; its database is 'notadb'; write a number"),
        ({"REDIS_URL": "rediss://h/3/4"}, r"REDIS_URL is '\(not shown\)'; its database is '3/4'; write a number"),
        ({"REDIS_URL": "redis://u:1/cret@h"}, r"REDIS_URL is '\(not shown\)'; it cannot be understood"),
        ({**HOST, "REDIS_PORT": "70000"}, r"REDIS_PORT is '70000'; write a whole number from 1 to 65535"),
        ({**HOST, "REDIS_DB": "-1"}, r"REDIS_DB is '-1'; write a whole number from 0 to 1000000"),
    ],
)
def test_what_cannot_be_is_told_with_what_may_be(environment: dict[str, str], message: str) -> None:
    with pytest.raises(BadSetting, match=rf"^{message}"):
        from_environment(environment)


def test_no_redis_is_named_by_empty_variables() -> None:
    assert not has_redis({"REDIS_URL": "", "REDIS_HOST": "", "REDIS_PORT": "6379"})
