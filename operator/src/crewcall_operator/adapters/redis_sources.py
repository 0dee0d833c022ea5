"""From what a pool says of its Redis to the connection itself: what is in Secrets and ConfigMaps is read from there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Protocol

from crewcall_operator.adapters.key_values import KeyUnavailable, KeyValues
from crewcall_operator.adapters.redis_connection import URLS, Connection, Login
from crewcall_operator.api.pool import KeyRef, LoginSource, RedisSource
from crewcall_operator.api.schema import REDIS_URL
from crewcall_operator.errors import QueueUnavailable

# What else stands in such a file are comments, in any language, which OpenSSL takes in ASCII only.
_PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Sources(Protocol):
    """Where connections come from."""

    async def connection(self, source: RedisSource) -> Connection:
        """What it takes to reach that Redis by now. Raises `QueueUnavailable`, naming what is missing."""
        ...

    def doubt(self, source: RedisSource) -> None:
        """A connection did not work: what it was made of may have changed."""
        ...


class UrlsOnly:
    """Sources without a cluster: everything is in the URL."""

    async def connection(self, source: RedisSource) -> Connection:
        return Connection(source.url)

    def doubt(self, source: RedisSource) -> None:
        """A URL that was written down does not change."""


URLS_ONLY = UrlsOnly()


class ClusterSources:
    """Sources in a cluster, read again now and then, so that a Secret may be changed at any time."""

    def __init__(self, values: KeyValues) -> None:
        self._values = values

    async def connection(self, source: RedisSource) -> Connection:
        if not source.refs:
            return Connection(source.url)
        try:
            words = await self._read(source.refs)
        except KeyUnavailable as error:
            raise QueueUnavailable(f"of {source}", str(error)) from error
        ca = "\n".join(_PEM.findall(words[source.ca_from])) if source.ca_from is not None else ""
        if source.ca_from is not None and not ca:
            raise QueueUnavailable(f"of {source}", f"{source.ca_from} holds no certificate in PEM")
        url = words[source.url_from] if source.url_from is not None else source.url
        if source.url_from is not None and not re.fullmatch(REDIS_URL, url):
            # Without a word of it: what a "/" in a password makes of it would be shown as host or database.
            raise QueueUnavailable(f"of {source}", f"{source.url_from} is no URL of a Redis: {URLS}")
        return Connection(url, _login(source.login, words), ca, _login(source.sentinel_login, words))

    def doubt(self, source: RedisSource) -> None:
        for ref in source.refs:
            self._values.doubt(ref)

    async def _read(self, refs: tuple[KeyRef, ...]) -> Mapping[KeyRef, str]:
        values = await asyncio.gather(*(self._values.value(ref) for ref in refs))
        return dict(zip(refs, values, strict=True))


def _login(source: LoginSource, words: Mapping[KeyRef, str]) -> Login:
    username, password = (words[ref] if ref is not None else "" for ref in (source.username, source.password))
    return Login(username, password)
