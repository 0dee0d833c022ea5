"""What is in Secrets reaches the connection, and no status, log or metric."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import redis.exceptions as failed

from crewcall_operator.adapters.redis_sources import ClusterSources
from crewcall_operator.adapters.redis_words import why, why_refused
from crewcall_operator.api.pool import KeyRef, RedisSource
from crewcall_operator.errors import QueueUnavailable

URL, CA = KeyRef("Secret", "shop", "redis", "url"), KeyRef("ConfigMap", "shop", "ca", "pem")
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


@dataclass
class Values:
    """What is under every key."""

    value_: str

    async def value(self, ref: KeyRef) -> str:
        del ref
        return self.value_


def sources(value: str) -> ClusterSources:
    return ClusterSources(Values(value))  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["redis://:s3@cret@redis:6379/0", "rediss://user:s3cret@redis", "unix:///run/redis"])
async def test_takes_a_url_from_a_secret(url: str) -> None:
    assert (await sources(url).connection(RedisSource("", url_from=URL))).url == url


@pytest.mark.parametrize(
    "url", ["redis://:s3/cret@redis", "redis://s3:1/cret@redis", "redis://:s3#cret@redis", "redis://:s3?cret@redis"]
)
async def test_shows_no_part_of_a_url_in_a_secret_that_is_none(url: str) -> None:
    with pytest.raises(QueueUnavailable) as caught:
        await sources(url).connection(RedisSource("", url_from=URL))

    assert 'key "url" of Secret shop/redis is no URL of a Redis' in str(caught.value)
    assert "s3" not in str(caught.value)
    assert "cret@" not in str(caught.value)


async def test_takes_certificates_and_leaves_the_comments_about_them() -> None:
    file = f"# Zürich\n{PEM}\n# Genève\n{PEM}\n"

    found = await sources(file).connection(RedisSource("rediss://redis", ca_from=CA))

    assert found.ca == f"{PEM}\n{PEM}"


async def test_says_that_an_authority_is_no_certificate() -> None:
    with pytest.raises(QueueUnavailable, match="holds no certificate in PEM"):
        await sources("-----BEGIN CERTIFICATE-----").connection(RedisSource("rediss://redis", ca_from=CA))


@pytest.mark.parametrize(
    "said",
    [
        "User s3cret has no permissions to run the 'eval_ro' command",
        "NOPERM User s3cret has no permissions to access one of the keys",
    ],
)
def test_names_no_user_that_redis_names(said: str) -> None:
    told = (why(failed.NoPermissionError(said), 1.0, writes=False), why_refused("dramatiq:sms", said, writes=True))

    assert all("user has no permissions to" in words and "s3cret" not in words for words in told)
