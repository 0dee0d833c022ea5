"""Mail to a real SMTP server, with TLS and a login, on the loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.job_types import a_context, clock, settings_for, smtp_for
from tests.support.mail_servers import USERNAME, mail_server
from tests.support.waiting import DEADLINE

from crewcall_jobs.composition import compose
from crewcall_jobs.delivering import deliver_once
from crewcall_jobs.email.digest import mail_of
from crewcall_jobs.email.mail import Mail
from crewcall_jobs.email.payload import Digest, DigestItem, DigestSection
from crewcall_jobs.email.smtp import Smtp
from crewcall_jobs.errors import JobFailed, Undelivered, Unreachable
from crewcall_jobs.settings import Security, SmtpSettings
from crewcall_jobs.storage.deliveries import Status
from crewcall_worker.queues import Reject

MAIL = Mail("ada@example.com", "Your week", "Text\n", "<p>HTML</p>\n")


# aiosmtpd means STARTTLS by TLS, and does not see that all of the connection is in it.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_sends_through_tls_after_logging_in(tmp_path: Path, security: Security) -> None:
    with mail_server(tmp_path, security) as server:
        message_id = Smtp(smtp_for(server, security), clock).send(MAIL, "job-1")

    (mail,) = server.mails
    assert (message_id, mail["Message-ID"]) == ("<job-1@acme.test>", "<job-1@acme.test>")
    assert (mail["From"], mail["To"], mail["Subject"]) == ("Acme <news@acme.test>", "ada@example.com", "Your week")
    assert (server.recipients, server.logins) == (["ada@example.com"], [USERNAME])


def test_sends_in_the_clear_where_that_is_what_was_set(tmp_path: Path) -> None:
    with mail_server(tmp_path, Security.NONE, login=False) as server:
        Smtp(SmtpSettings("127.0.0.1", server.port, Security.NONE, "news@acme.test"), clock).send(MAIL, "job-1")

    assert len(server.mails) == 1


def test_a_digest_arrives_once_as_text_and_html_however_often_its_job_runs(tmp_path: Path) -> None:
    digest = Digest(
        organization_id="acme",
        to="ada@example.com",
        subject="Grüße",
        sections=(DigestSection(title="News", items=(DigestItem(title="One"),)),),
    )
    with mail_server(tmp_path) as server:
        services = compose(settings_for(tmp_path, mail=server), lambda alert: "", clock)
        for attempt in (1, 2):
            deliver_once(
                services.deliveries,
                a_context(attempt=attempt),
                "email",
                lambda: services.mailer.send(mail_of(digest, services.templates), "job-1"),
                clock,
            )
        services.database.close()

    (mail,) = server.mails
    assert (mail["Subject"], mail.get_content_type()) == ("Grüße", "multipart/alternative")
    assert services.deliveries.of("job-1")[0].status is Status.DELIVERED


@pytest.mark.parametrize(
    ("step", "reply", "kind", "told"),
    [
        ("rcpt", "550 5.1.1 <ada@example.com> is nobody", Reject, "answered 550 5.1.1 to the recipient"),
        ("rcpt", "450 4.2.0 <ada@example.com> is greylisted", Undelivered, "answered 450 4.2.0 to the recipient"),
        ("data", "554 5.7.1 spam for ada@example.com", Reject, "answered 554 5.7.1 to the mail"),
        ("data", "451 4.3.0 later", Undelivered, "answered 451 4.3.0 to the mail"),
    ],
)
def test_a_refusal_is_for_good_or_for_now_and_names_nobody(
    tmp_path: Path, step: str, reply: str, kind: type[Exception], told: str
) -> None:
    with mail_server(tmp_path) as server:
        server.refusals[step] = [reply]
        with pytest.raises(kind) as caught:
            Smtp(smtp_for(server), clock).send(MAIL, "job-1")

    assert str(caught.value) == f"mail server 127.0.0.1:{server.port} {told}"
    assert server.mails == []


def test_a_wrong_password_is_ours_to_mend(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server, pytest.raises(Undelivered, match=r"answered 535 to our login$"):
        Smtp(replace(smtp_for(server), password="wrong"), clock).send(MAIL, "job-1")


def test_a_server_whose_certificate_is_not_trusted_gets_no_password(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server, pytest.raises(Unreachable, match="its certificate is not trusted"):
        Smtp(replace(smtp_for(server), ca=""), clock).send(MAIL, "job-1")

    assert server.logins == []


def test_a_server_without_starttls_gets_no_mail(tmp_path: Path) -> None:
    with mail_server(tmp_path, Security.NONE, login=False) as server, pytest.raises(Undelivered, match="no STARTTLS"):
        Smtp(smtp_for(server), clock).send(MAIL, "job-1")

    assert server.mails == []


@contextmanager
def a_socket_that_says(*words: bytes, hold: bool = False) -> Iterator[int]:
    """A server that answers with these, line by line, then goes, or stays silent until the test leaves."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(5)
                for word in words:
                    connection.sendall(word)
                    if connection.recv(1000) == b"":
                        return
                if hold:
                    over.wait(DEADLINE)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join(DEADLINE)


@pytest.mark.parametrize(
    ("words", "hold", "told"),
    [
        ((), False, "it closed the connection"),
        ((b"220 mail.test\r\n",), False, "it closed the connection"),
        ((b"220 mail.test\r\n",), True, "silent for 0.3 s"),
        ((b"554 go away\r\n",), False, "answered 554 before any mail"),
        ((b"\x15\x03\x01\x00\x02\x02\x46\r\n",), False, "before any mail"),
    ],
    ids=["closes", "hangs-up", "hangs", "refuses", "nonsense"],
)
def test_a_server_that_fails_may_do_better_next_time(words: tuple[bytes, ...], hold: bool, told: str) -> None:
    with a_socket_that_says(*words, hold=hold) as port, pytest.raises(JobFailed) as caught:
        Smtp(SmtpSettings("127.0.0.1", port, Security.NONE, "news@acme.test"), clock, 0.3).send(MAIL, "job-1")

    assert str(caught.value).startswith(f"mail server 127.0.0.1:{port}")
    assert str(caught.value).endswith(told)


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(Unreachable, match=r"ConnectionRefusedError$"):
        Smtp(SmtpSettings("127.0.0.1", port, Security.NONE, "news@acme.test"), clock).send(MAIL, "job-1")


def test_what_fails_after_the_servers_yes_is_no_failure() -> None:
    talk = (b"220 hi\r\n", b"250 mail.test\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n", b"250 taken\r\n")
    with a_socket_that_says(*talk, hold=True) as port:
        sent = Smtp(SmtpSettings("127.0.0.1", port, Security.NONE, "news@acme.test"), clock, 0.3).send(MAIL, "job-1")

    assert sent == "<job-1@acme.test>"


def test_where_no_server_is_set_the_job_says_what_to_set(tmp_path: Path) -> None:
    services = compose(settings_for(tmp_path), lambda alert: "", clock)

    with pytest.raises(Reject, match=r"^there is no mail server: set CREWCALL_SMTP_HOST, then retry this job$"):
        services.mailer.send(MAIL, "job-1")
    services.database.close()
