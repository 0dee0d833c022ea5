"""What the board is told by its environment.

Which Redis it looks at is told as to the workers: see `crewcall_worker.settings`. Everything else is CREWCALL_BOARD_*;
docs/board/settings.md has the table. There is no way in by default: without a secret or an issuer nothing starts.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from crewcall_worker.board.addresses import is_loopback, is_safe
from crewcall_worker.errors import BadSetting
from crewcall_worker.settings import Settings, from_environment
from crewcall_worker.variables import line, networks, parts, switch, whole

ENV_HOST: Final = "CREWCALL_BOARD_HOST"
ENV_PORT: Final = "CREWCALL_BOARD_PORT"
ENV_LISTENER: Final = "CREWCALL_BOARD_LISTENER"
ENV_PREFIX: Final = "CREWCALL_BOARD_PREFIX"
ENV_READ_ONLY: Final = "CREWCALL_BOARD_READ_ONLY"
ENV_SECRET: Final = "CREWCALL_BOARD_JWT_SECRET"
ENV_SECRET_FILE: Final = "CREWCALL_BOARD_JWT_SECRET_FILE"
ENV_ISSUER: Final = "CREWCALL_BOARD_ISSUER"
ENV_JWKS_URL: Final = "CREWCALL_BOARD_JWKS_URL"
ENV_AUDIENCE: Final = "CREWCALL_BOARD_AUDIENCE"
ENV_ROLES_CLAIM: Final = "CREWCALL_BOARD_ROLES_CLAIM"
ENV_REDACT: Final = "CREWCALL_BOARD_REDACT"
ENV_SESSION_HOURS: Final = "CREWCALL_BOARD_SESSION_HOURS"
ENV_TICKET: Final = "CREWCALL_BOARD_TICKET"
ENV_TRUSTED_PROXIES: Final = "CREWCALL_BOARD_TRUSTED_PROXIES"

PORT = 8440
MOST_FILES = 1_000_000
SHORTEST_SECRET = 32
"""Bytes, as HS256 asks for (RFC 7518, section 3.2)."""
SHORTEST_TICKET = 32
NO_DOOR = (
    "without it nobody could log in. Make one with `crewcall-worker board secret`, or name an OpenID Connect issuer in "
    f"{ENV_ISSUER}"
)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs the tokens, for whom (`audience`), and where its keys are; "" for where its discovery tells."""

    url: str
    audience: str
    jwks_url: str = ""


@dataclass(frozen=True, slots=True)
class BoardSettings:
    """The board's settings: either `secret` or `issuer` is there.

    `listener` is the number of an open file: a socket that listens already, in place of `host` and `port`; 0 for none.
    `prefix` is "" or begins with a slash and ends without one. With a `ticket` somebody may log in once without a
    token. `redact`: see `redaction`.
    """

    redis: Settings
    secret: str = field(default="", repr=False)
    issuer: Issuer | None = None
    audience: str = ""
    roles_claim: str = "roles"
    host: str = "127.0.0.1"
    port: int = PORT
    listener: int = 0
    prefix: str = ""
    is_read_only: bool = False
    redact: tuple[str, ...] = ()
    session_hours: int = 8
    ticket: str = field(default="", repr=False)
    trusted_proxies: tuple[str, ...] = ()

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine reaches the board directly."""
        return is_loopback(self.host)

    @property
    def fingerprint(self) -> str:
        """Changes with whatever tokens are checked by: sessions of tokens that would not do any more are over."""
        told = [self.secret, self.issuer and (self.issuer.url, self.issuer.jwks_url), self.audience, self.roles_claim]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def board_settings(environment: Mapping[str, str]) -> BoardSettings:
    """Read the settings. Raises `BadSetting`, naming the variable, what it holds and what it may hold."""
    audience = line(environment, ENV_AUDIENCE)
    secret, issuer = _secret(environment), _issuer(environment, audience)
    if secret and issuer:
        raise BadSetting(ENV_ISSUER, issuer.url, f"and {ENV_SECRET} is set as well. Remove one of the two")
    if not secret and not issuer:
        raise BadSetting(ENV_SECRET, None, NO_DOOR)
    return BoardSettings(
        redis=from_environment(environment),
        secret=secret,
        issuer=issuer,
        audience=audience,
        roles_claim=line(environment, ENV_ROLES_CLAIM) or "roles",
        host=_host(environment),
        port=whole(environment, ENV_PORT, PORT, 0, 65_535),
        listener=whole(environment, ENV_LISTENER, 0, 0, MOST_FILES),
        prefix=_prefix(environment),
        is_read_only=switch(environment, ENV_READ_ONLY, default=False),
        redact=_names(environment, ENV_REDACT),
        session_hours=whole(environment, ENV_SESSION_HOURS, 8, 1, 24 * 7),
        ticket=_ticket(environment),
        trusted_proxies=tuple(map(str, networks(environment, ENV_TRUSTED_PROXIES))),
    )


def signing_secret(environment: Mapping[str, str]) -> str:
    """The secret that tokens are issued with. Raises `BadSetting` where there is none."""
    secret = _secret(environment)
    if not secret:
        raise BadSetting(
            ENV_SECRET, None, "set it to the board's own, or name its file. `crewcall-worker board secret` makes one"
        )
    return secret


def _secret(environment: Mapping[str, str]) -> str:
    told, file = line(environment, ENV_SECRET), environment.get(ENV_SECRET_FILE, "")
    if told and file:
        raise BadSetting(ENV_SECRET_FILE, file, f"and {ENV_SECRET} is set as well. Remove one of the two")
    variable = ENV_SECRET_FILE if file else ENV_SECRET
    if file:
        try:
            told = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadSetting(
                variable, file, f"it cannot be read: {error}. Name a file with the secret in it"
            ) from error
        if not told:
            raise BadSetting(variable, file, f"that file is empty; {NO_DOOR}")
    if told and len(told.encode()) < SHORTEST_SECRET:
        raise BadSetting(
            variable,
            "(not shown)",
            f"it has {len(told.encode())} bytes; write {SHORTEST_SECRET} or more. `crewcall-worker board secret` does",
        )
    return told


def _issuer(environment: Mapping[str, str], audience: str) -> Issuer | None:
    url, jwks_url = line(environment, ENV_ISSUER), line(environment, ENV_JWKS_URL)
    if not url:
        if jwks_url:
            raise BadSetting(ENV_ISSUER, None, f"name the issuer whose keys are at {ENV_JWKS_URL}")
        return None
    for variable, value in ((ENV_ISSUER, url), (ENV_JWKS_URL, jwks_url)):
        if value and not is_safe(value):
            raise BadSetting(variable, value, "write a URL that begins with https:// (http:// for this machine alone)")
    if not audience:
        # An issuer's tokens for other applications would do as well.
        raise BadSetting(ENV_AUDIENCE, None, "write for whom the issuer's tokens are to be, such as crewcall-board")
    return Issuer(url, audience, jwks_url)


def _host(environment: Mapping[str, str]) -> str:
    host = environment.get(ENV_HOST, "").strip() or "127.0.0.1"
    if host == "localhost":
        return host
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise BadSetting(ENV_HOST, host, "write an address to listen on: 127.0.0.1, or 0.0.0.0 for all") from None


def _prefix(environment: Mapping[str, str]) -> str:
    prefix = environment.get(ENV_PREFIX, "").strip().rstrip("/")
    if prefix and (not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", prefix) or re.search(r"/\.{1,2}(/|$)", prefix)):
        raise BadSetting(ENV_PREFIX, prefix, "write a path such as /crewcall")
    if prefix.split("/")[1:2] in (["admin"], ["api"]):
        # Where a proxy takes the prefix off, nobody could tell what is left from it.
        raise BadSetting(ENV_PREFIX, prefix, "write a path that begins with neither /admin nor /api, the board's own")
    return prefix


def _names(environment: Mapping[str, str], variable: str) -> tuple[str, ...]:
    names = parts(environment, variable)
    if any(not all(name.split(".")) for name in names):
        allowed = "write names or paths separated by commas, such as phone,card.number"
        raise BadSetting(variable, environment[variable], allowed)
    return names


def _ticket(environment: Mapping[str, str]) -> str:
    ticket = line(environment, ENV_TICKET)
    if ticket and not re.fullmatch(rf"[A-Za-z0-9_-]{{{SHORTEST_TICKET},}}", ticket):
        raise BadSetting(
            ENV_TICKET, "(not shown)", f"write {SHORTEST_TICKET} or more letters, digits, - and _ that nobody can guess"
        )
    return ticket
