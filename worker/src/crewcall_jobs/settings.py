"""What the catalogue's jobs are told by their environment: whom to send by, what may be fetched, where results are
kept.

What is not named is not there: a job that needs it becomes a dead letter, which says what to set. The whole table is in
docs/jobs/environment.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.utils import parseaddr
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from crewcall_worker.errors import BadSetting
from crewcall_worker.variables import Network, file, folder, line, networks, seconds, switch, whole

ENV_SMS_URL: Final = "CREWCALL_SMS_URL"
ENV_SMS_KEY: Final = "CREWCALL_SMS_KEY"
ENV_SMS_FROM: Final = "CREWCALL_SMS_FROM"
ENV_SMS_PROFILE: Final = "CREWCALL_SMS_PROFILE"
ENV_SMTP_HOST: Final = "CREWCALL_SMTP_HOST"
ENV_SMTP_PORT: Final = "CREWCALL_SMTP_PORT"
ENV_SMTP_SECURITY: Final = "CREWCALL_SMTP_SECURITY"
ENV_SMTP_USERNAME: Final = "CREWCALL_SMTP_USERNAME"
ENV_SMTP_PASSWORD: Final = "CREWCALL_SMTP_PASSWORD"
ENV_SMTP_FROM: Final = "CREWCALL_SMTP_FROM"
ENV_SMTP_CA: Final = "CREWCALL_SMTP_CA"
ENV_DATABASE_URL: Final = "CREWCALL_DATABASE_URL"
ENV_WEBHOOK_SECRET: Final = "CREWCALL_WEBHOOK_SECRET"
ENV_FETCH_TIMEOUT: Final = "CREWCALL_FETCH_TIMEOUT"
ENV_FETCH_MOST_BYTES: Final = "CREWCALL_FETCH_MOST_BYTES"
ENV_FETCH_ALLOW: Final = "CREWCALL_FETCH_ALLOW"
ENV_FETCH_CA: Final = "CREWCALL_FETCH_CA"
ENV_BROWSER: Final = "CREWCALL_BROWSER"
ENV_BROWSER_SANDBOX: Final = "CREWCALL_BROWSER_SANDBOX"
ENV_TEMPLATES: Final = "CREWCALL_TEMPLATES"
ENV_KEEP_DAYS: Final = "CREWCALL_KEEP_DAYS"

TELNYX: Final = "https://api.telnyx.com/v2"
SQLITE: Final = "sqlite:///crewcall-jobs.db"
SHORTEST_SECRET: Final = 24  # characters; the Standard Webhooks ask for 24 to 64 bytes


class Security(StrEnum):
    """How the way to the mail server is kept from others' eyes."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


# RFC 6409 (submission), RFC 8314 (implicit TLS), RFC 5321.
SMTP_PORTS: Final = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


@dataclass(frozen=True, slots=True)
class SmsSettings:
    """The provider's HTTP API: `url` up to its version. `profile` is its messaging profile, where one is used."""

    url: str
    key: str = field(repr=False)
    sender: str
    profile: str = ""


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """The mail server. No `username`: nobody logs in. `ca` is a file of authorities in PEM; empty: the system's."""

    host: str
    port: int
    security: Security
    sender: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """What is fetched from, and sent to, addresses that customers name. `allowed` are networks that may be reached
    though they are not public. `timeout` in seconds, for the whole of a request. `browser` is Chromium's program;
    empty: the one that Playwright has installed. `sandbox`: whether Chromium locks up its pages, as it should."""

    timeout: float = 20.0
    most_bytes: int = 1_000_000
    allowed: tuple[Network, ...] = ()
    ca: str = ""
    browser: str = ""
    sandbox: bool = True


@dataclass(frozen=True, slots=True)
class JobSettings:
    """All of it. None where a thing has not been named. Of `webhook_secrets` the first is the one to use, the others
    are on their way out. `templates` is a folder whose files are taken before our own. `keep_days`: how long records
    are kept."""

    sms: SmsSettings | None
    smtp: SmtpSettings | None
    web: WebSettings
    database_url: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    templates: str
    keep_days: int


def from_environment(environment: Mapping[str, str]) -> JobSettings:
    """Read the settings. Raises `BadSetting`."""
    return JobSettings(
        sms=_sms(environment),
        smtp=_smtp(environment),
        web=WebSettings(
            timeout=seconds(environment, ENV_FETCH_TIMEOUT, WebSettings().timeout, "such as 20", at_least=0.1),
            most_bytes=whole(environment, ENV_FETCH_MOST_BYTES, WebSettings().most_bytes, 1_000, 100_000_000),
            allowed=networks(environment, ENV_FETCH_ALLOW),
            ca=file(environment, ENV_FETCH_CA),
            browser=file(environment, ENV_BROWSER),
            sandbox=switch(environment, ENV_BROWSER_SANDBOX, default=WebSettings().sandbox),
        ),
        database_url=line(environment, ENV_DATABASE_URL) or SQLITE,
        webhook_secrets=_secrets(environment),
        templates=folder(environment, ENV_TEMPLATES),
        keep_days=whole(environment, ENV_KEEP_DAYS, 30, 1, 3650),
    )


def _sms(environment: Mapping[str, str]) -> SmsSettings | None:
    key = line(environment, ENV_SMS_KEY)
    if not key:
        return None
    return SmsSettings(
        url=_http_url(environment, ENV_SMS_URL, TELNYX),
        key=key,
        sender=_named(
            environment, ENV_SMS_FROM, "set it to the number or name that messages come from, as +15551230000"
        ),
        profile=line(environment, ENV_SMS_PROFILE),
    )


def _smtp(environment: Mapping[str, str]) -> SmtpSettings | None:
    host = line(environment, ENV_SMTP_HOST)
    if not host:
        return None
    security = _security(environment)
    username, password = line(environment, ENV_SMTP_USERNAME), line(environment, ENV_SMTP_PASSWORD)
    if username and security is Security.NONE:
        raise BadSetting(
            ENV_SMTP_SECURITY, security, "a password is not sent where everybody can read it: write starttls or tls"
        )
    if username and not password:
        raise BadSetting(ENV_SMTP_PASSWORD, None, f"set it to the password of {ENV_SMTP_USERNAME}")
    return SmtpSettings(
        host=host,
        port=whole(environment, ENV_SMTP_PORT, SMTP_PORTS[security], 1, 65535),
        security=security,
        sender=_mailbox(environment),
        username=username,
        password=password,
        ca=file(environment, ENV_SMTP_CA),
    )


def _mailbox(environment: Mapping[str, str]) -> str:
    allowed = "write the address that mails come from, as news@example.com or Acme <news@example.com>"
    text = _named(environment, ENV_SMTP_FROM, allowed)
    name, address = parseaddr(text)
    try:
        Address(name, addr_spec=address)
    except (HeaderParseError, ValueError, IndexError):
        raise BadSetting(ENV_SMTP_FROM, text, allowed) from None
    if "@" not in address:
        raise BadSetting(ENV_SMTP_FROM, text, allowed)
    return text


def _security(environment: Mapping[str, str]) -> Security:
    text = environment.get(ENV_SMTP_SECURITY) or Security.STARTTLS
    try:
        return Security(text)
    except ValueError:
        raise BadSetting(ENV_SMTP_SECURITY, text, "write starttls, tls or none") from None


def _secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    secrets = tuple(part for part in line(environment, ENV_WEBHOOK_SECRET).split() if part)
    if any(len(secret) < SHORTEST_SECRET for secret in secrets):
        raise BadSetting(
            ENV_WEBHOOK_SECRET,
            "(a secret)",
            f"each secret has at least {SHORTEST_SECRET} characters; several are separated by spaces",
        )
    return secrets


def _http_url(environment: Mapping[str, str], variable: str, default: str) -> str:
    text = line(environment, variable) or default
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise BadSetting(variable, text, f"write an http or https address, such as {default}")
    return text.rstrip("/")


def _named(environment: Mapping[str, str], variable: str, allowed: str) -> str:
    if text := line(environment, variable):
        return text
    raise BadSetting(variable, None, allowed)
