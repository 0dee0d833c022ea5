"""What the jobs are told by their environment."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from crewcall_jobs.settings import (
    JobSettings,
    Security,
    SmsSettings,
    SmtpSettings,
    WebSettings,
    from_environment,
)
from crewcall_worker.errors import BadSetting


def test_nothing_named_is_nothing_there_but_a_database_of_its_own() -> None:
    assert from_environment({}) == JobSettings(
        sms=None,
        smtp=None,
        web=WebSettings(timeout=20.0, most_bytes=1_000_000, allowed=(), ca="", browser=""),
        database_url="sqlite:///crewcall-jobs.db",
        webhook_secrets=(),
        templates="",
        keep_days=30,
    )


def test_reads_all_of_it(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("")
    environment = {
        "CREWCALL_SMS_URL": "http://127.0.0.1:8080/v2/",
        "CREWCALL_SMS_KEY": "KEY\n",
        "CREWCALL_SMS_FROM": "+15550001111",
        "CREWCALL_SMS_PROFILE": "p-1",
        "CREWCALL_SMTP_HOST": "mail.test",
        "CREWCALL_SMTP_SECURITY": "tls",
        "CREWCALL_SMTP_USERNAME": "crewcall",
        "CREWCALL_SMTP_PASSWORD": "open sesame\n",
        "CREWCALL_SMTP_FROM": "News <news@acme.test>",
        "CREWCALL_SMTP_CA": str(ca),
        "CREWCALL_DATABASE_URL": "postgresql://crewcall:x@db/jobs",
        "CREWCALL_WEBHOOK_SECRET": f"{'n' * 24} {'o' * 24}\n",
        "CREWCALL_FETCH_TIMEOUT": "2.5",
        "CREWCALL_FETCH_MOST_BYTES": "5000",
        "CREWCALL_FETCH_ALLOW": "10.1.0.0/16, fd00::/8",
        "CREWCALL_FETCH_CA": str(ca),
        "CREWCALL_BROWSER": str(ca),
        "CREWCALL_TEMPLATES": str(tmp_path),
        "CREWCALL_KEEP_DAYS": "7",
    }

    assert from_environment(environment) == JobSettings(
        sms=SmsSettings("http://127.0.0.1:8080/v2", "KEY", "+15550001111", "p-1"),
        smtp=SmtpSettings("mail.test", 465, Security.TLS, "News <news@acme.test>", "crewcall", "open sesame", str(ca)),
        web=WebSettings(2.5, 5000, (ip_network("10.1.0.0/16"), ip_network("fd00::/8")), str(ca), str(ca)),
        database_url="postgresql://crewcall:x@db/jobs",
        webhook_secrets=("n" * 24, "o" * 24),
        templates=str(tmp_path),
        keep_days=7,
    )


SMTP = {"CREWCALL_SMTP_HOST": "mail", "CREWCALL_SMTP_FROM": "a@b.test"}


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"CREWCALL_SMS_KEY": "k"}, "CREWCALL_SMS_FROM is not set; set it to the number or name"),
        (
            {"CREWCALL_SMS_KEY": "k", "CREWCALL_SMS_FROM": "a", "CREWCALL_SMS_URL": "telnyx"},
            "CREWCALL_SMS_URL is 'telnyx'; ",
        ),
        ({"CREWCALL_SMTP_HOST": "mail"}, "CREWCALL_SMTP_FROM is not set; "),
        (
            {"CREWCALL_SMTP_HOST": "mail", "CREWCALL_SMTP_FROM": "Acme"},
            "CREWCALL_SMTP_FROM is 'Acme'; write the address",
        ),
        ({"CREWCALL_SMTP_HOST": "mail", "CREWCALL_SMTP_FROM": "a@"}, "CREWCALL_SMTP_FROM is 'a@'; write the address"),
        ({**SMTP, "CREWCALL_SMTP_SECURITY": "ssl"}, "CREWCALL_SMTP_SECURITY is 'ssl'; write starttls, tls or none"),
        ({**SMTP, "CREWCALL_SMTP_PORT": "0"}, "CREWCALL_SMTP_PORT is '0'; write a whole number from 1 to 65535"),
        ({**SMTP, "CREWCALL_SMTP_USERNAME": "u"}, "CREWCALL_SMTP_PASSWORD is not set; "),
        (
            {**SMTP, "CREWCALL_SMTP_USERNAME": "u", "CREWCALL_SMTP_PASSWORD": "p", "CREWCALL_SMTP_SECURITY": "none"},
            "CREWCALL_SMTP_SECURITY is <Security.NONE: 'none'>; a password is not sent",
        ),
        ({**SMTP, "CREWCALL_SMTP_CA": "/no/such"}, "CREWCALL_SMTP_CA is '/no/such'; there is no such file"),
        ({"CREWCALL_FETCH_ALLOW": "10.0.0.1/8"}, "CREWCALL_FETCH_ALLOW is '10.0.0.1/8'; write addresses or networks"),
        ({"CREWCALL_FETCH_TIMEOUT": "0"}, "CREWCALL_FETCH_TIMEOUT is '0'; write seconds, 0.1 or more, such as 20"),
        ({"CREWCALL_WEBHOOK_SECRET": "short"}, "CREWCALL_WEBHOOK_SECRET is '(a secret)'; each secret has at least 24"),
        ({"CREWCALL_TEMPLATES": "/no/such"}, "CREWCALL_TEMPLATES is '/no/such'; there is no such folder"),
        ({"CREWCALL_KEEP_DAYS": "0"}, "CREWCALL_KEEP_DAYS is '0'; write a whole number from 1 to 3650"),
        ({"CREWCALL_BROWSER_SANDBOX": "maybe"}, "CREWCALL_BROWSER_SANDBOX is 'maybe'; write true or false, or on or"),
    ],
)
def test_what_cannot_be_worked_with_is_told(environment: dict[str, str], text: str) -> None:
    with pytest.raises(BadSetting) as caught:
        from_environment(environment)

    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("text", "is_on"),
    [("", True), ("on", True), ("true", True), ("1", True), ("off", False), ("False", False), ("no", False)],
)
def test_a_switch_is_said_in_any_of_the_usual_ways(text: str, is_on: bool) -> None:
    assert from_environment({"CREWCALL_BROWSER_SANDBOX": text}).web.sandbox is is_on


def test_no_secret_is_shown() -> None:
    environment = {
        **SMTP,
        "CREWCALL_SMS_KEY": "secret-1",
        "CREWCALL_SMS_FROM": "+15550001111",
        "CREWCALL_SMTP_USERNAME": "u",
        "CREWCALL_SMTP_PASSWORD": "secret-2",
        "CREWCALL_WEBHOOK_SECRET": "secret-3-of-24-characters",
        "CREWCALL_DATABASE_URL": "postgresql://u:secret-4@db/x",
    }

    assert "secret" not in repr(from_environment(environment)).replace("webhook_secret", "")
