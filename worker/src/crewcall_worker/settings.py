"""What a worker is told by its environment. The variables and who sets them are in `wire`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from crewcall_worker import wire
from crewcall_worker.errors import BadSetting

URL_ALLOWED = "set it to where the queues live, such as redis://redis:6379/0 (or rediss://, unix://)"
# As Dramatiq's own command line has them.
DEFAULT_THREADS = 8
DEFAULT_SHUTDOWN_TIMEOUT = 600.0
MOST_THREADS = 1000


@dataclass(frozen=True, slots=True)
class Settings:
    """One worker's settings. No `queues` means all that the actors work on; `shutdown_timeout` is in seconds.

    `pool` is as `wire.pool_name` has it. It and `pod` are empty where nobody has named them.
    """

    redis_url: str = field(repr=False)
    redis_namespace: str = "dramatiq"
    queues: tuple[str, ...] = ()
    threads: int = DEFAULT_THREADS
    shutdown_timeout: float = DEFAULT_SHUTDOWN_TIMEOUT
    pool: str = ""
    pod: str = ""

    @property
    def redis_endpoint(self) -> str:
        """Where Redis is, for people: host:port/db, without user and password."""
        url = urlsplit(self.redis_url)
        where = url.netloc.rpartition("@")[2]
        return f"{where}{url.path}" or "localhost"


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings. Raises `BadSetting`, naming the variable, what it holds and what it may hold."""
    return Settings(
        redis_url=_redis_url(environment),
        redis_namespace=environment.get(wire.ENV_REDIS_NAMESPACE) or "dramatiq",
        queues=_queues(environment),
        threads=_threads(environment),
        shutdown_timeout=_shutdown_timeout(environment),
        pool=_pool(environment),
        pod=environment.get(wire.ENV_POD, ""),
    )


def _redis_url(environment: Mapping[str, str]) -> str:
    if url := environment.get(wire.ENV_REDIS_URL):
        return url
    raise BadSetting(wire.ENV_REDIS_URL, None, URL_ALLOWED)


def _pool(environment: Mapping[str, str]) -> str:
    name = environment.get(wire.ENV_POOL, "")
    return wire.pool_name(environment.get(wire.ENV_NAMESPACE, ""), name) if name else ""


def _queues(environment: Mapping[str, str]) -> tuple[str, ...]:
    text = environment.get(wire.ENV_QUEUES, "")
    names = [name.strip() for name in text.split(",")]
    if text.strip() and not all(names):
        raise BadSetting(wire.ENV_QUEUES, text, "write names separated by commas, such as sms,email")
    return tuple(dict.fromkeys(name for name in names if name))


def _threads(environment: Mapping[str, str]) -> int:
    text = environment.get(wire.ENV_THREADS) or str(DEFAULT_THREADS)
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= MOST_THREADS:
        raise BadSetting(wire.ENV_THREADS, text, f"write a whole number from 1 to {MOST_THREADS}")
    return int(text)


def _shutdown_timeout(environment: Mapping[str, str]) -> float:
    text = environment.get(wire.ENV_SHUTDOWN_TIMEOUT) or str(DEFAULT_SHUTDOWN_TIMEOUT)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise BadSetting(wire.ENV_SHUTDOWN_TIMEOUT, text, "write seconds, such as 570")
    return seconds
