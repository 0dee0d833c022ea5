"""Which Redis the environment names: by REDIS_URL, or without it by REDIS_HOST and what goes with that.

As an application's own stack often has it: REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_PASSWORD. Where there is a REDIS_URL
they are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from crewcall_worker import redis_address, wire
from crewcall_worker.errors import BadSetting
from crewcall_worker.redis_address import ENV_REDIS_DB, ENV_REDIS_HOST, ENV_REDIS_HOST_PASSWORD, ENV_REDIS_PORT
from crewcall_worker.variables import line, whole

URL_ALLOWED = "set it to where the queues live, such as redis://redis:6379/0 (or rediss://, unix://, redis+sentinel://)"
MOST_DATABASES = 1_000_000
DATABASE = re.compile(r"/?|/[0-9]+/?")


def has_redis(environment: Mapping[str, str]) -> bool:
    """Whether one is named at all."""
    return any(line(environment, name) for name in (wire.ENV_REDIS_URL, ENV_REDIS_HOST))


def redis_url(environment: Mapping[str, str]) -> str:
    """Its URL, without what logs in unless REDIS_URL has that. Raises `BadSetting`."""
    if url := line(environment, wire.ENV_REDIS_URL):
        _check_database(url)
        return url
    host = line(environment, ENV_REDIS_HOST)
    if not host:
        raise BadSetting(wire.ENV_REDIS_URL, None, URL_ALLOWED)
    if any(mark in host for mark in "/@"):  # and there may be a password in it
        raise BadSetting(ENV_REDIS_HOST, "(not shown)", "write a name or an address; for a URL there is REDIS_URL")
    told = environment.get(ENV_REDIS_PORT, "")
    if told.startswith("tcp://"):  # so Kubernetes sets it beside a Service named "redis", unless the pod does
        told = told.rpartition(":")[2]
    port = whole({ENV_REDIS_PORT: told}, ENV_REDIS_PORT, redis_address.REDIS_PORT, 1, redis_address.PORTS - 1)
    database = whole(environment, ENV_REDIS_DB, 0, 0, MOST_DATABASES)
    return f"redis://{f'[{host}]' if ':' in host else host}:{port}/{database}"


def _check_database(url: str) -> None:
    """redis-py takes database 0 for a path that is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return  # which the client tells
    if parts.scheme in {"redis", "rediss"} and not DATABASE.fullmatch(parts.path):
        # What has an @ may be the end of a password.
        is_told = "@" not in parts.path
        words = f"its database is {parts.path[1:]!r}; write a number, such as redis://redis:6379/0"
        raise BadSetting(
            wire.ENV_REDIS_URL, "(not shown)", words if is_told else f"it cannot be understood; {URL_ALLOWED}"
        )


def redis_password(environment: Mapping[str, str]) -> str:
    """The password that is beside the URL, or beside the host; empty where there is none."""
    beside_url = line(environment, redis_address.ENV_REDIS_PASSWORD)
    if beside_url or line(environment, wire.ENV_REDIS_URL):
        return beside_url
    return line(environment, ENV_REDIS_HOST_PASSWORD)
