"""The mail server, by SMTP: smtplib of the standard library, one connection a mail.

A mail is sent when the server has said yes to its data; what goes wrong after that is no failure, or somebody would
get it twice.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Callable
from datetime import datetime
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Final, Protocol

from crewcall_jobs.email.mail import Mail, message
from crewcall_jobs.email.replies import refusal
from crewcall_jobs.errors import Undelivered, Unreachable
from crewcall_jobs.settings import ENV_SMTP_HOST, ENV_SMTP_SECURITY, Security, SmtpSettings
from crewcall_worker.queues import Reject

TIMEOUT: Final = 30.0
"""Seconds for each thing that the server is to say."""


class Mailer(Protocol):
    """Whoever sends mail."""

    def send(self, mail: Mail, key: str) -> str:
        """The Message-ID; `key` stays the same over tries. Raises `Reject`, `JobFailed`."""
        ...


class Smtp:
    """One mail server."""

    def __init__(self, settings: SmtpSettings, clock: Callable[[], datetime], timeout: float = TIMEOUT) -> None:
        self._settings, self._clock, self._timeout = settings, clock, timeout
        self._where = f"{settings.host}:{settings.port}"

    def send(self, mail: Mail, key: str) -> str:
        try:
            made = message(mail, self._settings.sender, key, self._clock())
            server = self._connected()
            try:
                self._log_in(server)
                server.send_message(made, parseaddr(self._settings.sender)[1], [mail.to])
            except BaseException:
                server.close()
                raise
        except (smtplib.SMTPException, OSError) as error:
            # Not `from error`: its text may name who the mail is for, and a traceback tells all that it came from.
            raise self._translated(error) from None
        except ValueError as error:  # what Python's mails say of an address or a header that cannot be written
            raise Reject(f"the mail cannot be written: {type(error).__name__}") from None
        _leave(server)
        return _id_of(made)

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        name = socket.gethostname()  # smtplib's own way asks the DNS
        if settings.security is Security.TLS:
            return smtplib.SMTP_SSL(settings.host, settings.port, name, timeout=self._timeout, context=self._trust())
        server = smtplib.SMTP(settings.host, settings.port, name, timeout=self._timeout)
        if settings.security is Security.STARTTLS:
            try:
                server.starttls(context=self._trust())
            except BaseException:
                server.close()
                raise
        return server

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.ca or None)

    def _log_in(self, server: smtplib.SMTP) -> None:
        if not self._settings.username:
            return
        try:
            server.login(self._settings.username, self._settings.password)
        except smtplib.SMTPAuthenticationError as error:
            raise Undelivered(f"mail server {self._where} answered {error.smtp_code} to our login") from None

    def _translated(self, error: Exception) -> Exception:
        match error:
            case smtplib.SMTPRecipientsRefused():
                code, text = next(iter(error.recipients.values()))
                return refusal(self._where, code, text, "the recipient")
            case smtplib.SMTPSenderRefused():
                return refusal(self._where, error.smtp_code, error.smtp_error, "the sender")
            case smtplib.SMTPDataError():
                return refusal(self._where, error.smtp_code, error.smtp_error, "the mail")
            case smtplib.SMTPResponseException():  # the greeting, or STARTTLS: no word about this mail yet
                return Undelivered(f"mail server {self._where} answered {error.smtp_code} before any mail")
            case smtplib.SMTPNotSupportedError():
                return Undelivered(f"mail server {self._where} offers no STARTTLS or no login; see {ENV_SMTP_SECURITY}")
            case ssl.SSLError():
                return Unreachable(f"mail server {self._where}", "its certificate is not trusted, or it speaks no TLS")
            case TimeoutError():
                return Unreachable(f"mail server {self._where}", f"silent for {self._timeout:g} s")
            case smtplib.SMTPServerDisconnected() if isinstance(error.__context__, TimeoutError):
                return Unreachable(f"mail server {self._where}", f"silent for {self._timeout:g} s")
            case smtplib.SMTPServerDisconnected():
                return Unreachable(f"mail server {self._where}", "it closed the connection")
        return Unreachable(f"mail server {self._where}", type(error).__name__)


class NoMailer:
    """Where none is set."""

    def send(self, mail: Mail, key: str) -> str:
        del mail, key
        raise Reject(f"there is no mail server: set {ENV_SMTP_HOST}, then retry this job")


def _leave(server: smtplib.SMTP) -> None:
    with contextlib.suppress(smtplib.SMTPException, OSError):
        server.quit()
    server.close()


def _id_of(made: EmailMessage) -> str:
    return str(made["Message-ID"])
