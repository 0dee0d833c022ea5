"""The catalogue as the worker image runs it: one process, its environment, and real servers around it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.job_types import MASTER
from tests.support.mail_servers import PASSWORD, USERNAME, MailServer, mail_server
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until
from tests.support.web_servers import WebServer, hang, reply, reply_json, web_server
from tests.support.workers import WorkerProcess, started

from crewcall_jobs.alerts.job import dispatch_alert
from crewcall_jobs.alerts.payload import Alert, EmailChannel, SmsChannel, WebhookChannel
from crewcall_jobs.email.job import send_digest
from crewcall_jobs.email.payload import Digest, DigestItem, DigestSection
from crewcall_jobs.rules.job import run_rule
from crewcall_jobs.rules.payload import CssExtract, Rule
from crewcall_jobs.sms.job import send_sms
from crewcall_jobs.sms.payload import Sms
from crewcall_worker.queues.service import QueueService
from crewcall_worker.queues.views import JobState, Views

WORKER = [str(Path(sys.executable).parent / "crewcall-worker"), "run"]
# What no log may have: a number, an address, a text, a secret.
PRIVATE = ("5551234567", "ada@example.com", "Lovelace", "s3cret", "KEY-1", PASSWORD, MASTER, "10 €", "12 €")


@dataclass(frozen=True, slots=True)
class Stage:
    """The worker, who enqueues, and who receives."""

    worker: WorkerProcess
    queues: QueueService
    mail: MailServer
    web: WebServer
    provider: WebServer


@pytest.fixture(params=["text", "json"])
def stage(request: pytest.FixtureRequest, redis_server: RedisServer, tmp_path: Path) -> Iterator[Stage]:
    with (
        mail_server(tmp_path) as mail,
        web_server() as web,
        web_server(reply_json(200, {"data": {"id": "m-1"}})) as provider,
    ):
        environment = environment_of(redis_server, mail, provider, tmp_path, request.param)
        with started([*WORKER, "--verbose", "crewcall_jobs.catalogue"], environment, tmp_path / "worker.log") as worker:
            queues = QueueService.from_environment(environment)
            yield Stage(worker, queues, mail, web, provider)
            queues.shutdown()


def environment_of(
    server: RedisServer, mail: MailServer, provider: WebServer, folder: Path, log_format: str = "text"
) -> Mapping[str, str]:
    return {
        "REDIS_URL": server.url,
        "CREWCALL_LOG_FORMAT": log_format,
        "CREWCALL_SMS_URL": f"{provider.url}/v2",
        "CREWCALL_SMS_KEY": "KEY-1",
        "CREWCALL_SMS_FROM": "+15550001111",
        "CREWCALL_SMTP_HOST": "127.0.0.1",
        "CREWCALL_SMTP_PORT": str(mail.port),
        "CREWCALL_SMTP_FROM": "news@acme.test",
        "CREWCALL_SMTP_USERNAME": USERNAME,
        "CREWCALL_SMTP_PASSWORD": PASSWORD,
        "CREWCALL_SMTP_CA": mail.ca,
        "CREWCALL_DATABASE_URL": f"sqlite:///{folder}/jobs.db",
        "CREWCALL_WEBHOOK_SECRET": MASTER,
        "CREWCALL_FETCH_ALLOW": "127.0.0.0/8",
    }


def an_sms() -> Sms:
    return Sms(organization_id="acme", to="+15551234567", text="Hello Ada Lovelace")


def a_digest() -> Digest:
    return Digest(
        organization_id="acme",
        to="ada@example.com",
        subject="Dear Ada Lovelace",
        sections=(DigestSection(title="News", items=(DigestItem(title="One"),)),),
    )


def a_rule(web: WebServer) -> Rule:
    return Rule(
        organization_id="acme",
        rule_id="r1",
        name="Prices of Ada Lovelace",
        url=f"{web.url}/page?token=s3cret",
        extract=CssExtract(selector="p"),
        channels=(EmailChannel(to="ada@example.com"), WebhookChannel(url=f"{web.url}/hook?token=s3cret")),
    )


def an_alert(web: WebServer, key: str) -> Alert:
    return Alert(
        organization_id="acme",
        alert_key=key,
        title="Alert for Ada Lovelace",
        channels=(
            EmailChannel(to="ada@example.com"),
            SmsChannel(to="+15551234567"),
            WebhookChannel(url=f"{web.url}/hook?token=s3cret"),
        ),
    )


def test_the_four_jobs_do_their_work_and_no_log_names_anybody(stage: Stage) -> None:
    stage.web.will(reply(200, "<p>10 €</p>"), reply(200, "<p>12 €</p>"), reply(204))
    stage.queues.enqueue(run_rule, a_rule(stage.web))
    wait_until(lambda: len(stage.web.seen) == 1, "the first look")
    stage.worker.wait_for("seen for the first time")
    stage.queues.enqueue(run_rule, a_rule(stage.web))
    stage.queues.enqueue(send_sms, an_sms())
    stage.queues.enqueue(send_digest, a_digest())

    wait_until(lambda: len(stage.mail.mails) == 2, "the digest and the alert's mail")
    wait_until(lambda: len(stage.web.seen) == 3, "the alert's webhook")
    wait_until(lambda: len(stage.provider.seen) == 1, "the text message")
    stage.worker.terminate()

    assert stage.worker.exit_status() == 0
    assert sorted(mail["Subject"] for mail in stage.mail.mails) == [
        "Dear Ada Lovelace",
        "[info] Prices of Ada Lovelace has changed",
    ]
    assert private_words(stage) == []


def test_a_second_alert_with_the_same_key_is_none(stage: Stage) -> None:
    first = stage.queues.enqueue(dispatch_alert, an_alert(stage.web, "disk"))
    second = stage.queues.enqueue(dispatch_alert, an_alert(stage.web, "disk"))
    other = stage.queues.enqueue(dispatch_alert, an_alert(stage.web, "cpu"))

    wait_until(lambda: len(stage.mail.mails) == 2, "both alerts")

    assert (second.is_duplicate, second.id, other.is_duplicate) == (True, first.id, False)


def test_what_fails_is_told_and_names_nobody(stage: Stage) -> None:
    stage.web.will(reply(500))
    stage.provider.will(reply_json(400, {"errors": [{"code": "10002", "title": "Bad", "detail": "+15551234567"}]}))
    stage.mail.refusals["rcpt"] = ["550 5.1.1 <ada@example.com> is nobody"] * 2

    stage.queues.enqueue(send_sms, an_sms())
    stage.queues.enqueue(send_digest, a_digest())
    stage.queues.enqueue(run_rule, a_rule(stage.web))
    stage.queues.enqueue(dispatch_alert, an_alert(stage.web, "disk"))
    wait_until(lambda: count(stage, "sms", JobState.DEAD) == 1, "the text message to be a dead letter")
    wait_until(lambda: count(stage, "email", JobState.DEAD) == 1, "the digest to be a dead letter")
    wait_until(lambda: count(stage, "rules", JobState.DELAYED) == 1, "the rule to be tried again")
    wait_until(lambda: count(stage, "alerts", JobState.DELAYED) == 1, "the alert to be tried again")
    stage.worker.terminate()

    assert stage.worker.exit_status() == 0
    assert private_words(stage) == []


def test_a_message_whose_worker_was_killed_is_sent_again_under_the_same_key(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    taken = reply_json(200, {"data": {"id": "m-1"}})
    with mail_server(tmp_path) as mail, web_server(hang(), taken) as provider:
        environment = {**environment_of(redis_server, mail, provider, tmp_path), "CREWCALL_LAPSED_AFTER": "3"}
        queues = QueueService.from_environment(environment)
        queues.enqueue(send_sms, an_sms())
        with started([*WORKER, "crewcall_jobs.catalogue"], environment, tmp_path / "first.log") as first:
            wait_until(lambda: len(provider.seen) == 1, "the first request")
            first.kill()
        with started([*WORKER, "crewcall_jobs.catalogue"], environment, tmp_path / "second.log") as second:
            second.wait_for("was delivered, as m-1")
        queues.shutdown()

    before, after = provider.seen
    assert (before.headers["idempotency-key"], before.body) == (after.headers["idempotency-key"], after.body)


def test_a_wrong_setting_ends_the_worker_at_its_start(redis_server: RedisServer, tmp_path: Path) -> None:
    environment = {"REDIS_URL": redis_server.url, "CREWCALL_KEEP_DAYS": "never"}

    with started([*WORKER, "crewcall_jobs.catalogue"], environment, tmp_path / "worker.log") as worker:
        status = worker.exit_status()

    assert status == 2
    assert "CREWCALL_KEEP_DAYS is 'never'; write a whole number from 1 to 3650" in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()


def count(stage: Stage, queue: str, state: JobState) -> int:
    assert stage.queues.broker is not None
    return len(Views(stage.queues.broker.client).page(queue, state).jobs)


def private_words(stage: Stage) -> list[str]:
    log = stage.worker.log.read_text()
    return [word for word in PRIVATE if word in log]
