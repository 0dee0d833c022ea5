"""Tokens: JSON Web Tokens by which somebody shows who they are, and which role they have.

They are checked by a secret (HS256), or by the keys of an OpenID Connect issuer; which algorithms are taken follows
from that alone, never from what a token says of itself. The role is in a claim, a word or a list of them: operator, or
viewer. A claim in another claim is named by a path, such as realm_access.roles.
"""

from __future__ import annotations

import http.client
import json
import logging
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import jwt
from jwt import PyJWKClient
from jwt.exceptions import ExpiredSignatureError, InvalidTokenError, PyJWKClientError, PyJWKSetError

from crewcall_worker.board.addresses import is_safe
from crewcall_worker.board.people import Person, Role
from crewcall_worker.board.settings import BoardSettings, Issuer
from crewcall_worker.errors import WorkerError

LEEWAY = 30.0
"""Seconds by which another machine's clock may differ."""
LONGEST_TOKEN = 16_384
LONGEST_SUBJECT = 200
LATEST = 2**53
"""Seconds since the epoch; a JSON number may be larger than any clock can tell."""
KEYS_WITHIN = 5.0
KEYS_FOR = 300.0
LARGEST_DISCOVERY = 1_000_000
"""Bytes."""
ASK_AGAIN_AFTER = 10.0
"""Seconds in which an issuer that did not answer is not asked again: else each bad token would hold up a thread."""

BY_ISSUER: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")

log = logging.getLogger(__name__)


class TokenRefused(WorkerError):
    """This token lets nobody in. `is_forged`: it was not signed by whom it should be, so somebody may be guessing."""

    def __init__(self, words: str, *, is_forged: bool = False) -> None:
        super().__init__(words)
        self.is_forged = is_forged


class IssuerSilent(WorkerError):
    """The issuer's keys could not be had, so that nobody can tell whether the token is good."""


class Tokens(Protocol):
    """Whatever checks tokens."""

    def person(self, token: str) -> Person:
        """Whose token it is. Raises `TokenRefused`, `IssuerSilent`."""
        ...


def make_tokens(settings: BoardSettings) -> Tokens:
    """By what the settings tell."""
    if settings.issuer is not None:
        return IssuerTokens(settings.issuer, settings.roles_claim)
    return SecretTokens(settings.secret, settings.audience, settings.roles_claim)


def issue(
    secret: str, subject: str, role: Role, seconds: float, *, roles_claim: str = "roles", audience: str = ""
) -> str:
    """A token of this role for so long. Raises `ValueError` where the subject is none."""
    if not _is_name(subject):
        raise ValueError(f"subject is {subject!r}; expected 1 to {LONGEST_SUBJECT} printable characters")
    now = time.time()
    claims: dict[str, Any] = {"sub": subject, "iat": int(now), "exp": int(now + seconds), "jti": secrets.token_hex(8)}
    if audience:
        claims["aud"] = audience
    place = claims
    *outer, last = [roles_claim] if "/" in roles_claim else roles_claim.split(".")
    for name in outer:
        place = place.setdefault(name, {})
    place[last] = [role.value]
    return jwt.encode(claims, secret, algorithm="HS256")


class SecretTokens:
    """Tokens signed with the board's own secret."""

    def __init__(self, secret: str, audience: str = "", roles_claim: str = "roles") -> None:
        self._secret = secret
        self._audience = audience
        self._claim = roles_claim

    def person(self, token: str) -> Person:
        """Whose token it is. Raises `TokenRefused`."""
        claims = _decoded(token, self._secret, ("HS256",), audience=self._audience or None)
        return _person(claims, self._claim)


class IssuerTokens:
    """Tokens signed by an issuer; its keys are kept for some minutes, and asked for anew when one is not among them."""

    def __init__(
        self, issuer: Issuer, roles_claim: str = "roles", steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._claim = roles_claim
        self._steady = steady
        self._silent_until = 0.0
        self._keys: PyJWKClient | None = None

    def person(self, token: str) -> Person:
        """Whose token it is. Raises `TokenRefused`, `IssuerSilent`."""
        key = self._key(token)
        claims = _decoded(token, key, BY_ISSUER, audience=self._issuer.audience, issuer=self._issuer.url)
        return _person(claims, self._claim)

    def _key(self, token: str) -> jwt.PyJWK:
        _check_size(token)
        try:
            header = jwt.get_unverified_header(token)
        except InvalidTokenError as error:
            raise TokenRefused("this is no token", is_forged=True) from error
        kid = header.get("kid")
        if not isinstance(kid, str) or header.get("alg") not in BY_ISSUER:
            raise TokenRefused("the token names no key of the issuer", is_forged=True)
        if self._steady() < self._silent_until:
            raise IssuerSilent(f"issuer {self._issuer.url} did not answer a moment ago")
        try:
            if self._keys is None:
                url = self._issuer.jwks_url or _discovered(self._issuer.url)
                self._keys = PyJWKClient(url, lifespan=KEYS_FOR, timeout=KEYS_WITHIN, cooldown_duration=30.0)
            return self._keys.get_signing_key(kid)
        except (jwt.exceptions.PyJWKClientConnectionError, PyJWKSetError, OSError, ValueError) as error:
            self._silent_until = self._steady() + ASK_AGAIN_AFTER
            log.warning("The keys of issuer %s cannot be had: %s", self._issuer.url, error)
            raise IssuerSilent(f"the keys of issuer {self._issuer.url} cannot be had") from error
        except PyJWKClientError as error:
            raise TokenRefused("the token was signed by a key that the issuer does not have", is_forged=True) from error


def _discovered(issuer: str) -> str:
    """Where an issuer's keys are, by OpenID Connect Discovery 1.0, section 4. Raises `OSError`, `ValueError`."""
    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    try:
        with urllib.request.urlopen(url, timeout=KEYS_WITHIN) as response:  # noqa: S310  # https: see `settings`
            told = json.loads(response.read(LARGEST_DISCOVERY))
    except (urllib.error.URLError, http.client.HTTPException) as error:
        raise OSError(f"{url}: {error}") from error
    found = told.get("jwks_uri") if isinstance(told, dict) else None
    if not isinstance(found, str) or not is_safe(found):
        raise ValueError(f"{url} tells no jwks_uri by https")
    if told.get("issuer") != issuer:
        raise ValueError(f"{url} is of issuer {told.get('issuer')!r}; expected {issuer!r}")
    return found


def _check_size(token: str) -> None:
    if not token.isascii() or len(token) > LONGEST_TOKEN:
        raise TokenRefused("this is no token", is_forged=True)


def _decoded(
    token: str, key: Any, algorithms: tuple[str, ...], *, audience: str | None = None, issuer: str | None = None
) -> dict[str, Any]:
    _check_size(token)
    required = ["exp", "sub", *(["iss"] if issuer else []), *(["aud"] if audience else [])]
    options: Any = {"require": required, "verify_aud": audience is not None}
    try:
        found: dict[str, Any] = jwt.decode(
            token, key, algorithms=list(algorithms), audience=audience, issuer=issuer, leeway=LEEWAY, options=options
        )
    except ExpiredSignatureError as error:
        raise TokenRefused("the token has expired") from error
    except (InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
        # What exactly is wrong is for the log: it would help whoever tries.
        log.info("A token was refused: %s", error)
        raise TokenRefused("the token is not valid here", is_forged=True) from error
    return found


def _person(claims: Mapping[str, Any], claim: str) -> Person:
    subject, until = claims.get("sub"), claims.get("exp")
    if not isinstance(subject, str) or not _is_name(subject):
        raise TokenRefused(f"its subject is none; expected 1 to {LONGEST_SUBJECT} printable characters")
    if not isinstance(until, int | float) or isinstance(until, bool) or not 0 <= until <= LATEST:
        raise TokenRefused("the token does not tell when it expires")
    roles = _claim(claims, claim)
    words = [roles] if isinstance(roles, str) else roles if isinstance(roles, list) else []
    for role in (Role.OPERATOR, Role.VIEWER):
        if role.value in words:
            return Person(subject, role, float(until))
    raise TokenRefused(f"its claim {claim!r} has no role of the board; expected viewer or operator")


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def _is_name(subject: str) -> bool:
    return 0 < len(subject) <= LONGEST_SUBJECT and subject.isprintable() and subject == subject.strip()
