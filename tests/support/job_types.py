"""What tests of the catalogue's jobs share: a clock that stands, a context, settings for servers on the loopback."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

from tests.support.mail_servers import PASSWORD, USERNAME, MailServer
from tests.support.waiting import DEADLINE

from crewcall_jobs.settings import JobSettings, Security, SmsSettings, SmtpSettings, WebSettings
from crewcall_worker.queues import JobContext

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LOOPBACK = (ip_network("127.0.0.0/8"),)
MASTER = "a-master-secret-of-24-characters-or-more"


def clock() -> datetime:
    return NOW


def a_context(job_id: str = "job-1", attempt: int = 1, organization_id: str = "acme") -> JobContext:
    return JobContext(id=job_id, name="some.job", queue="some", organization_id=organization_id, attempt=attempt)


def settings_for(
    folder: Path, sms_url: str = "", mail: MailServer | None = None, security: Security = Security.STARTTLS
) -> JobSettings:
    """Everything on the loopback, and its tables in `folder`."""
    return JobSettings(
        sms=SmsSettings(sms_url, "KEY-1", "+15550001111") if sms_url else None,
        smtp=smtp_for(mail, security) if mail else None,
        web=WebSettings(timeout=DEADLINE, allowed=LOOPBACK),
        database_url=f"sqlite:///{folder}/jobs.db",
        webhook_secrets=(MASTER,),
        templates="",
        keep_days=30,
    )


def smtp_for(mail: MailServer, security: Security = Security.STARTTLS) -> SmtpSettings:
    return SmtpSettings("127.0.0.1", mail.port, security, "Acme <news@acme.test>", USERNAME, PASSWORD, mail.ca)
