"""Where a pool's Redis is, from the words of its spec: a URL, or the Secrets, ConfigMaps and Sentinels that tell."""

from __future__ import annotations

from crewcall_operator.api import schema
from crewcall_operator.api.pool import Holder, KeyRef, LoginSource, RedisSource
from crewcall_worker.redis_address import Sentinels, address


def read_source(redis: schema.Redis, namespace: str) -> RedisSource:
    """The source that was written in a pool of this Kubernetes namespace: what it refers to is there as well."""
    sentinel = redis.sentinel
    return RedisSource(
        url=_sentinels(sentinel, is_tls=redis.tls is not None).url if sentinel is not None else redis.url or "",
        namespace=redis.namespace,
        url_from=_secret(redis.url_from, namespace),
        login=LoginSource(_secret(redis.username_from, namespace), _secret(redis.password_from, namespace)),
        ca_from=_authority(redis.tls, namespace),
        sentinel_login=LoginSource(
            _secret(sentinel.username_from, namespace) if sentinel is not None else None,
            _secret(sentinel.password_from, namespace) if sentinel is not None else None,
        ),
    )


def _sentinels(sentinel: schema.Sentinel, *, is_tls: bool) -> Sentinels:
    return Sentinels(tuple(map(address, sentinel.addresses)), sentinel.master, sentinel.database, is_tls)


def _secret(source: schema.SecretSource | None, namespace: str) -> KeyRef | None:
    return None if source is None else _ref("Secret", source.secret_key_ref, namespace)


def _authority(tls: schema.Tls | None, namespace: str) -> KeyRef | None:
    if tls is None or tls.ca_from is None:
        return None
    secret, config_map = tls.ca_from.secret_key_ref, tls.ca_from.config_map_key_ref
    if secret is not None:
        return _ref("Secret", secret, namespace)
    return _ref("ConfigMap", config_map, namespace) if config_map is not None else None


def _ref(kind: Holder, ref: schema.KeyRef, namespace: str) -> KeyRef:
    return KeyRef(kind, namespace, ref.name, ref.key)
