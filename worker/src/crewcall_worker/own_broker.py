"""A project's own broker: where it works, and whether the pool looks there too.

A job module may set up a broker by itself. Then its Redis and its namespace are what the jobs say, whatever the pool's
settings are. A pool that looks elsewhere counts a backlog that its workers never touch, which nobody would notice.
"""

from __future__ import annotations

import logging

import redis
from dramatiq.brokers.redis import RedisBroker
from redis.sentinel import SentinelConnectionPool

from crewcall_worker.wire import ENV_REDIS_NAMESPACE, ENV_REDIS_URL

log = logging.getLogger(__name__)


def place(broker: RedisBroker) -> str:
    """Its Redis and its namespace, for people: without user and password."""
    return f"{_endpoint(broker.client)} (namespace {broker.namespace})"


def warn_if_elsewhere(own: RedisBroker, pools: RedisBroker, modules: str) -> None:
    """Say so where the modules' `own` broker works on other queues than the pool's settings name."""
    if own.namespace == pools.namespace and _is_one_redis(own.client, pools.client):
        return
    log.warning(
        "The broker of %s works on Redis %s, but %s and %s say %s: there the pool counts its jobs, and this worker "
        "runs none of them. Set up the broker by these variables, or leave it to the worker.",
        modules,
        place(own),
        ENV_REDIS_URL,
        ENV_REDIS_NAMESPACE,
        place(pools),
    )


def _is_one_redis(one: redis.Redis, other: redis.Redis) -> bool:
    """By name, or as the servers themselves say: one host has many names."""
    if _endpoint(one) == _endpoint(other):
        return True
    try:
        return _database(one) == _database(other) and _run_id(one) == _run_id(other)
    except redis.RedisError:
        return False


def _run_id(client: redis.Redis) -> str:
    return str(client.info("server")["run_id"])


def _database(client: redis.Redis) -> int:
    return int(client.connection_pool.connection_kwargs.get("db") or 0)


def _endpoint(client: redis.Redis) -> str:
    pool = client.connection_pool
    options = pool.connection_kwargs
    if isinstance(pool, SentinelConnectionPool):
        hosts = ",".join(
            "{host}:{port}".format(**sentinel.connection_pool.connection_kwargs)
            for sentinel in pool.sentinel_manager.sentinels
        )
        where = f"{hosts}/{pool.service_name}"
    elif "path" in options:
        where = options["path"]
    else:
        where = f"{options.get('host') or 'localhost'}:{options.get('port') or 6379}"
    return f"{where}/{_database(client)}"
