"""Where a pool's Redis is, as REDIS_URL and the variables beside it tell a worker. A part of the wire.

Standard library only, no I/O. REDIS_URL is in redis-py's notation, or in this one where Sentinels know the primary:

    redis+sentinel://HOST[:PORT][,HOST[:PORT]...]/MASTER[/DATABASE]          rediss+sentinel:// for TLS

MASTER is the name under which the Sentinels know the primary, percent-encoded; TLS is then used for them as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

ENV_REDIS_HOST: Final = "REDIS_HOST"
"""Where there is no REDIS_URL: the server's name or address. The other three go with it, and with nothing else."""

ENV_REDIS_PORT: Final = "REDIS_PORT"
"""Absent: 6379."""

ENV_REDIS_DB: Final = "REDIS_DB"
"""The database's number. Absent: 0."""

ENV_REDIS_HOST_PASSWORD: Final = "REDIS_PASSWORD"
"""Absent: none."""

ENV_REDIS_USERNAME: Final = "CREWCALL_REDIS_USERNAME"
"""Who logs in, where REDIS_URL does not tell."""

ENV_REDIS_PASSWORD: Final = "CREWCALL_REDIS_PASSWORD"
"""The password, where REDIS_URL has none."""

ENV_REDIS_CA: Final = "CREWCALL_REDIS_CA"
"""A file in PEM with the certificate authorities by which a server with TLS is verified. Absent: the system's."""

ENV_SENTINEL_USERNAME: Final = "CREWCALL_SENTINEL_USERNAME"
"""Who logs in to the Sentinels, where they ask."""

ENV_SENTINEL_PASSWORD: Final = "CREWCALL_SENTINEL_PASSWORD"
"""The Sentinels' password, where they have one."""

URL_FORM: Final = (
    "redis://[user:password@]host[:port][/db], the same with rediss:// for TLS, or unix:///path; percent-encode '/', "
    "'?', '#' and '@' in a password; a port is 1 to 65535"
)
"""How the URL of one Redis is written, for whoever has written something else."""

REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
PORTS: Final = 65536

_PLAIN, _TLS = "redis+sentinel", "rediss+sentinel"


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Who knows where the primary named `master` is."""

    addresses: tuple[tuple[str, int], ...]
    master: str
    database: int = 0
    is_tls: bool = False

    @property
    def url(self) -> str:
        """As REDIS_URL has it."""
        return f"{_TLS if self.is_tls else _PLAIN}://{self._hosts}/{quote(self.master, safe='')}/{self.database}"

    def __str__(self) -> str:
        """For people."""
        return f"{self.master}/{self.database} of the Sentinels {self._hosts}"

    @property
    def _hosts(self) -> str:
        return ",".join(f"{host}:{port}" for host, port in self.addresses)


def sentinels(url: str) -> Sentinels | None:
    """The Sentinels that `url` names; None where it is the address of a Redis. Raises `ValueError`."""
    scheme, _, rest = url.partition("://")
    if scheme not in (_PLAIN, _TLS):
        return None
    hosts, master, *database = rest.split("/")
    if not master or len(database) > 1:
        raise ValueError("after the Sentinels come /MASTER and perhaps /DATABASE")
    addresses = tuple(address(host) for host in hosts.split(","))
    if any(not 0 < port < PORTS for _, port in addresses):
        raise ValueError(f"ports are below {PORTS}")
    return Sentinels(addresses, unquote(master), int(*database) if database else 0, scheme == _TLS)


def address(text: str) -> tuple[str, int]:
    """Host and port of a Sentinel written as host[:port]. Raises `ValueError`."""
    host, _, port = text.partition(":")
    if not host:
        raise ValueError(f"{text!r} is not host:port")
    return host, int(port) if port else SENTINEL_PORT
