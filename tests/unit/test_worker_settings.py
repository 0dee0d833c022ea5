from __future__ import annotations

import pytest

from crewcall_worker.errors import BadSetting
from crewcall_worker.settings import LogFormat, Settings, from_environment

URL = {"REDIS_URL": "redis://redis:6379/0"}


def test_a_url_alone_is_enough() -> None:
    assert from_environment(URL) == Settings(
        redis_url="redis://redis:6379/0",
        redis_namespace="dramatiq",
        queues=(),
        threads=None,
        concurrency={},
        log_format=LogFormat.TEXT,
        shutdown_timeout=600.0,
        pool="",
        pod="",
        lapsed_after=30.0,
        most_kills=3,
        metrics_port=None,
    )


def test_every_variable_is_taken_over() -> None:
    environment = {
        **URL,
        "CREWCALL_REDIS_NAMESPACE": "jobs",
        "CREWCALL_QUEUES": "sms, email,sms",
        "CREWCALL_THREADS": "4",
        "CREWCALL_CONCURRENCY": "sms=5, email = 2",
        "CREWCALL_LOG_FORMAT": "json",
        "CREWCALL_SHUTDOWN_TIMEOUT": "28.5",
        "CREWCALL_NAMESPACE": "shop",
        "CREWCALL_POOL": "notifications",
        "CREWCALL_POD": "notifications-7d9f-x2k4p",
        "CREWCALL_LAPSED_AFTER": "12.5",
        "CREWCALL_MOST_KILLS": "5",
        "CREWCALL_METRICS_PORT": "9100",
    }

    assert from_environment(environment) == Settings(
        redis_url="redis://redis:6379/0",
        redis_namespace="jobs",
        queues=("sms", "email"),
        threads=4,
        concurrency={"sms": 5, "email": 2},
        log_format=LogFormat.JSON,
        shutdown_timeout=28.5,
        pool="shop/notifications",
        pod="notifications-7d9f-x2k4p",
        lapsed_after=12.5,
        most_kills=5,
        metrics_port=9100,
    )


def test_an_empty_variable_is_as_one_that_is_not_set() -> None:
    empty = dict.fromkeys(
        [
            "CREWCALL_REDIS_NAMESPACE",
            "CREWCALL_QUEUES",
            "CREWCALL_THREADS",
            "CREWCALL_CONCURRENCY",
            "CREWCALL_LOG_FORMAT",
            "CREWCALL_SHUTDOWN_TIMEOUT",
        ],
        "",
    )

    assert from_environment(URL | empty) == from_environment(URL)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REDIS_URL", ""),
        ("CREWCALL_QUEUES", ","),
        ("CREWCALL_THREADS", "0"),
        ("CREWCALL_THREADS", "1001"),
        ("CREWCALL_LAPSED_AFTER", "2.9"),
        ("CREWCALL_LAPSED_AFTER", "inf"),
        ("CREWCALL_MOST_KILLS", "1"),
        ("CREWCALL_METRICS_PORT", "0"),
        ("CREWCALL_METRICS_PORT", "65536"),
        ("CREWCALL_THREADS", "1.5"),
        ("CREWCALL_THREADS", "²"),
        ("CREWCALL_CONCURRENCY", "sms"),
        ("CREWCALL_CONCURRENCY", "sms=0"),
        ("CREWCALL_CONCURRENCY", "sms=1001"),
        ("CREWCALL_CONCURRENCY", "=5"),
        ("CREWCALL_CONCURRENCY", "sms=5,"),
        ("CREWCALL_CONCURRENCY", "sms=5,sms=6"),
        ("CREWCALL_LOG_FORMAT", "yaml"),
        ("CREWCALL_SHUTDOWN_TIMEOUT", "-1"),
        ("CREWCALL_SHUTDOWN_TIMEOUT", "nan"),
        ("CREWCALL_SHUTDOWN_TIMEOUT", "inf"),
    ],
)
def test_what_cannot_be_worked_with_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"^{variable} is "):
        from_environment(URL | {variable: value})


def test_a_password_is_never_shown() -> None:
    settings = from_environment({"REDIS_URL": "rediss://user:s3cret@redis.shop:6380/2"})

    assert settings.redis_endpoint == "redis.shop:6380/2"
    assert "s3cret" not in repr(settings)
