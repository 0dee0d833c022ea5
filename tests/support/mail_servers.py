"""A real SMTP server on the loopback (aiosmtpd), with TLS and a login, that refuses what a test wants refused."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from crewcall_jobs.settings import Security

USERNAME, PASSWORD = "crewcall", "open sesame"


@dataclass(slots=True)
class MailServer:
    """A running server. `refusals`: what it answers to RCPT (or, as "data", to the mail's end), once each."""

    port: int
    ca: str
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refusals: dict[str, list[str]] = field(default_factory=dict)
    logins: list[str] = field(default_factory=list)

    def _refusal(self, step: str) -> str | None:
        waiting = self.refusals.get(step)
        return waiting.pop(0) if waiting else None


class _Handler:
    """aiosmtpd calls these by name."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def handle_RCPT(  # noqa: N802  # its name is aiosmtpd's
        self, _smtp: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if refusal := self._server._refusal("rcpt"):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _smtp: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if refusal := self._server._refusal("data"):
            return refusal
        content = envelope.content
        assert isinstance(content, bytes)
        self._server.mails.append(email.message_from_bytes(content, EmailMessage, policy=email.policy.default))
        self._server.recipients.extend(envelope.rcpt_tos)
        return "250 Taken as 4711"


@contextlib.contextmanager
def mail_server(folder: Path, security: Security = Security.STARTTLS, *, login: bool = True) -> Iterator[MailServer]:
    """A server on a port of its own, which ends with the context. Its authority's certificate is put into `folder`."""
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca = folder / "mail-ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    server = MailServer(0, str(ca))

    def authenticate(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        server.logins.append(data.login.decode())
        return AuthResult(success=data == LoginPassword(USERNAME.encode(), PASSWORD.encode()), handled=False)

    def protocol() -> SMTP:
        return SMTP(
            _Handler(server),
            hostname="mail.test",
            tls_context=context if security is Security.STARTTLS else None,
            require_starttls=security is Security.STARTTLS,
            auth_required=login,
            auth_require_tls=security is Security.STARTTLS,
            authenticator=authenticate if login else None,
            loop=loop,
        )

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> asyncio.Server:
        return await loop.create_server(protocol, "127.0.0.1", 0, ssl=context if security is Security.TLS else None)

    listening = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_stop(listening), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _stop(listening: asyncio.Server) -> None:
    listening.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
