"""What a worker is told by its environment. The variables and who sets them are in `wire`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from crewcall_worker import redis_address, wire
from crewcall_worker.concurrency import MOST_THREADS
from crewcall_worker.errors import BadSetting
from crewcall_worker.redis_settings import redis_password, redis_url
from crewcall_worker.retention import Retention, retention_from_environment
from crewcall_worker.variables import line, seconds, whole

DEFAULT_SHUTDOWN_TIMEOUT = 600.0  # as Dramatiq's own command line has it
# A worker tells of itself each second: after less than three of them, nothing is certain.
SHORTEST_LAPSE = 3.0
LARGEST_PAYLOAD = 1024 * 1024
"""Bytes of JSON."""
MOST_LARGEST_PAYLOAD = 256 * 1024 * 1024  # a text in Redis has 512 MB at most, and a message is more than its payload


class LogFormat(StrEnum):
    """For people, or for machines: an object in each line."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Settings:
    """One worker's settings. No `queues` means all that the actors work on; times are in seconds.

    No `threads` means as many as suit the queues, and `concurrency` has those that are limited: see `concurrency`.
    No `metrics_port` means that nothing is served. `pool` is as `wire.pool_name` has it. It and `pod` are empty where
    nobody has named them. `redis_ca` is a file.
    """

    redis_url: str = field(repr=False)
    redis_namespace: str = "dramatiq"
    queues: tuple[str, ...] = ()
    threads: int | None = None
    concurrency: Mapping[str, int] = field(default_factory=dict)
    log_format: LogFormat = LogFormat.TEXT
    shutdown_timeout: float = DEFAULT_SHUTDOWN_TIMEOUT
    pool: str = ""
    pod: str = ""
    lapsed_after: float = wire.LAPSED_AFTER_MS / 1000
    most_kills: int = wire.MOST_KILLS
    metrics_port: int | None = None
    retention: Retention = field(default_factory=Retention)
    largest_payload: int = LARGEST_PAYLOAD
    redis_username: str = ""
    redis_password: str = field(default="", repr=False)
    redis_ca: str = ""
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)

    @property
    def redis_endpoint(self) -> str:
        """Where Redis is, for people: host:port/db, without user and password."""
        url = urlsplit(self.redis_url)
        where = url.netloc.rpartition("@")[2]
        return f"{where}{url.path}" or "localhost"


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings. Raises `BadSetting`, naming the variable, what it holds and what it may hold."""
    return Settings(
        redis_url=redis_url(environment),
        redis_namespace=environment.get(wire.ENV_REDIS_NAMESPACE) or "dramatiq",
        queues=_queues(environment),
        threads=_threads(environment),
        concurrency=_concurrency(environment),
        log_format=log_format(environment),
        shutdown_timeout=_shutdown_timeout(environment),
        pool=_pool(environment),
        pod=environment.get(wire.ENV_POD, ""),
        lapsed_after=seconds(
            environment, wire.ENV_LAPSED_AFTER, wire.LAPSED_AFTER_MS / 1000, "such as 30", at_least=SHORTEST_LAPSE
        ),
        # After one death nobody knows which of the worker's jobs it was.
        most_kills=whole(environment, wire.ENV_MOST_KILLS, wire.MOST_KILLS, 2, 1000),
        metrics_port=_metrics_port(environment),
        retention=retention_from_environment(environment),
        largest_payload=whole(environment, wire.ENV_LARGEST_PAYLOAD, LARGEST_PAYLOAD, 1024, MOST_LARGEST_PAYLOAD),
        redis_username=line(environment, redis_address.ENV_REDIS_USERNAME),
        redis_password=redis_password(environment),
        redis_ca=line(environment, redis_address.ENV_REDIS_CA),
        sentinel_username=line(environment, redis_address.ENV_SENTINEL_USERNAME),
        sentinel_password=line(environment, redis_address.ENV_SENTINEL_PASSWORD),
    )


def _pool(environment: Mapping[str, str]) -> str:
    name = environment.get(wire.ENV_POOL, "")
    return wire.pool_name(environment.get(wire.ENV_NAMESPACE, ""), name) if name else ""


def _queues(environment: Mapping[str, str]) -> tuple[str, ...]:
    text = environment.get(wire.ENV_QUEUES, "")
    names = [name.strip() for name in text.split(",")]
    if text.strip() and not all(names):
        raise BadSetting(wire.ENV_QUEUES, text, "write names separated by commas, such as sms,email")
    return tuple(dict.fromkeys(name for name in names if name))


def _threads(environment: Mapping[str, str]) -> int | None:
    return whole(environment, wire.ENV_THREADS, 0, 1, MOST_THREADS) if environment.get(wire.ENV_THREADS) else None


def _concurrency(environment: Mapping[str, str]) -> dict[str, int]:
    text = environment.get(wire.ENV_CONCURRENCY, "")
    if not text.strip():
        return {}
    told: dict[str, int] = {}
    for entry in text.split(","):
        queue, _, limit = (word.strip() for word in entry.partition("="))
        is_number = limit.isascii() and limit.isdecimal() and 1 <= int(limit) <= MOST_THREADS
        if not queue or not is_number or queue in told:
            raise BadSetting(
                wire.ENV_CONCURRENCY,
                text,
                f"write each queue once with a whole number from 1 to {MOST_THREADS}, such as sms=5,email=2",
            )
        told[queue] = int(limit)
    return told


def log_format(environment: Mapping[str, str]) -> LogFormat:
    """How to log. Raises `BadSetting`."""
    text = environment.get(wire.ENV_LOG_FORMAT) or LogFormat.TEXT
    if text not in list(LogFormat):
        raise BadSetting(wire.ENV_LOG_FORMAT, text, f"write {' or '.join(LogFormat)}")
    return LogFormat(text)


def _metrics_port(environment: Mapping[str, str]) -> int | None:
    return whole(environment, wire.ENV_METRICS_PORT, 0, 1, 65535) if environment.get(wire.ENV_METRICS_PORT) else None


def _shutdown_timeout(environment: Mapping[str, str]) -> float:
    return seconds(environment, wire.ENV_SHUTDOWN_TIMEOUT, DEFAULT_SHUTDOWN_TIMEOUT, "such as 570")
