"""Where a pool's Redis is, from its spec to what its workers are told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.workerpools import workerpool

from crewcall_operator.api.deployment import pod_template
from crewcall_operator.api.pool import KeyRef, LoginSource, Pool, RedisSource
from crewcall_operator.api.spec import read_pool
from crewcall_operator.errors import InvalidSpec
from crewcall_worker.redis_address import Sentinels, sentinels


def read(container: dict[str, Any] | None = None, **connection: Any) -> Pool:
    containers = [container or {"name": "worker", "image": "example/worker"}]
    return read_pool(workerpool(redis=connection, template={"spec": {"containers": containers}}))


def secret(name: str, key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": name, "key": key}}


def in_secret(name: str, key: str) -> KeyRef:
    return KeyRef("Secret", "shop", name, key)


@pytest.mark.parametrize(
    ("connection", "source"),
    [
        ({"url": "redis://a"}, RedisSource("redis://a")),
        ({"urlFrom": secret("redis", "url")}, RedisSource("", url_from=in_secret("redis", "url"))),
        (
            {"url": "redis://a", "usernameFrom": secret("a", "u"), "passwordFrom": secret("b", "p")},
            RedisSource("redis://a", login=LoginSource(in_secret("a", "u"), in_secret("b", "p"))),
        ),
        (
            {"url": "rediss://a", "tls": {"caFrom": secret("ca", "pem")}},
            RedisSource("rediss://a", ca_from=in_secret("ca", "pem")),
        ),
        (
            {"url": "rediss://a", "tls": {"caFrom": {"configMapKeyRef": {"name": "ca", "key": "pem"}}}},
            RedisSource("rediss://a", ca_from=KeyRef("ConfigMap", "shop", "ca", "pem")),
        ),
        (
            {"sentinel": {"master": "my/shop", "addresses": ["a", "b:5000"], "database": 2}},
            RedisSource("redis+sentinel://a:26379,b:5000/my%2Fshop/2"),
        ),
        (
            {
                "sentinel": {"master": "m", "addresses": ["a"], "passwordFrom": secret("s", "p")},
                "passwordFrom": secret("r", "p"),
                "tls": {},
                "namespace": "jobs",
            },
            RedisSource(
                "rediss+sentinel://a:26379/m/0",
                "jobs",
                login=LoginSource(password=in_secret("r", "p")),
                sentinel_login=LoginSource(password=in_secret("s", "p")),
            ),
        ),
    ],
)
def test_reads_every_way_to_a_redis(connection: dict[str, Any], source: RedisSource) -> None:
    assert read(**connection).redis == source


@pytest.mark.parametrize(
    ("one", "other", "are_together"),
    [
        (RedisSource("redis://a", "jobs"), RedisSource("redis://a", "mail"), True),
        (RedisSource("redis://a"), RedisSource("redis://b"), False),
        (RedisSource("", url_from=in_secret("a", "u")), RedisSource("", "x", url_from=in_secret("a", "u")), True),
        (RedisSource("", url_from=in_secret("a", "u")), RedisSource("", ca_from=in_secret("a", "u")), False),
        (
            RedisSource("redis://a", login=LoginSource(in_secret("a", "u"))),
            RedisSource("redis://a", login=LoginSource(None, in_secret("a", "u"))),
            False,
        ),
    ],
)
def test_pools_of_one_place_are_looked_at_together(one: RedisSource, other: RedisSource, are_together: bool) -> None:
    assert (one.place == other.place) is are_together


@pytest.mark.parametrize("found", [Sentinels((("a", 1), ("b", 2)), "my/shop", 3, True), Sentinels((("a", 1),), "m")])
def test_a_url_of_sentinels_reads_as_it_was_written(found: Sentinels) -> None:
    assert sentinels(found.url) == found


@pytest.mark.parametrize("namespace", [{"namespace": "kube-system"}, {"name": "kube-system/token"}])
def test_a_secret_of_another_namespace_cannot_be_named(namespace: dict[str, str]) -> None:
    ref = {"name": "redis", "key": "url", **namespace}
    body = workerpool("pool", redis={"urlFrom": {"secretKeyRef": ref}})

    with pytest.raises(InvalidSpec, match=r"spec\.redis\.urlFrom\.secretKeyRef\.name"):
        read_pool(body)


def test_gives_the_workers_references_in_place_of_secrets() -> None:
    pod = pod_template(
        read(
            urlFrom=secret("redis", "url"),
            usernameFrom=secret("redis", "user"),
            passwordFrom=secret("redis", "password"),
            tls={"caFrom": secret("ca", "pem")},
        )
    )["spec"]

    (container,) = pod["containers"]
    own = {it["name"]: it.get("value") or it["valueFrom"] for it in container["env"] if "REDIS" in it["name"]}
    assert own == {
        "REDIS_URL": secret("redis", "url"),
        "CREWCALL_REDIS_USERNAME": secret("redis", "user"),
        "CREWCALL_REDIS_PASSWORD": secret("redis", "password"),
        "CREWCALL_REDIS_CA": "/etc/crewcall/redis-ca/ca.pem",
        "CREWCALL_REDIS_NAMESPACE": "dramatiq",
    }
    assert container["volumeMounts"] == [
        {"name": "crewcall-redis-ca", "mountPath": "/etc/crewcall/redis-ca", "readOnly": True}
    ]
    assert pod["volumes"] == [
        {"name": "crewcall-redis-ca", "secret": {"secretName": "ca", "items": [{"key": "pem", "path": "ca.pem"}]}}
    ]


def test_leaves_what_the_template_says_of_redis_as_it_is() -> None:
    own = [{"name": "REDIS_URL", "value": "redis://mine"}, {"name": "CREWCALL_REDIS_CA", "value": "/etc/mine.pem"}]
    container = {"name": "worker", "image": "example/worker", "env": own}

    pod = pod_template(read(container, urlFrom=secret("redis", "url"), tls={"caFrom": secret("ca", "pem")}))["spec"]

    found = [it for it in pod["containers"][0]["env"] if it["name"] in {"REDIS_URL", "CREWCALL_REDIS_CA"}]
    assert found == own
    assert "volumes" not in pod


def test_shows_no_url_of_a_source() -> None:
    assert "hunter2" not in repr(RedisSource("redis://:hunter2@a", url_from=in_secret("a", "b")))
