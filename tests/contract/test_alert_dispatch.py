"""`alerts.dispatch` to a mail server, a webhook's receiver and an SMS provider, on the loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support.job_types import MASTER, NOW, a_context, clock, settings_for
from tests.support.mail_servers import MailServer, mail_server
from tests.support.web_servers import (
    Act,
    Seen,
    WebServer,
    break_off,
    drip,
    flood,
    reply,
    reply_json,
    reset,
    web_server,
)

from crewcall_jobs.alerts.dispatching import dispatch
from crewcall_jobs.alerts.payload import Alert, EmailChannel, Severity, SmsChannel, WebhookChannel
from crewcall_jobs.alerts.signing import secret_of
from crewcall_jobs.composition import Services, compose
from crewcall_jobs.email.mail import Mail
from crewcall_jobs.storage.database import StorageUnavailable
from crewcall_jobs.storage.deliveries import Deliveries, Delivery, Status
from crewcall_worker.queues import Reject, TryAgain

MAIL, HOOK, SMS = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Stage:
    """Who receives, and who sends."""

    mail: MailServer
    hook: WebServer
    provider: WebServer
    services: Services
    alert: Alert

    def dispatch(self, attempt: int = 1, alert: Alert | None = None, book: Deliveries | None = None) -> None:
        of = self.services
        dispatch(alert or self.alert, a_context(attempt=attempt), of.channels, book or of.deliveries, clock)

    @property
    def statuses(self) -> dict[int, tuple[Status, int]]:
        return {channel: (one.status, one.tries) for channel, one in self.services.deliveries.of("job-1").items()}

    @property
    def received(self) -> tuple[int, int, int]:
        return len(self.mail.mails), len(self.hook.seen), len(self.provider.seen)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with (
        mail_server(tmp_path) as mail,
        web_server(reply(204)) as hook,
        web_server(reply_json(200, {"data": {"id": "m-1"}})) as provider,
    ):
        services = compose(settings_for(tmp_path, provider.url, mail), lambda alert: "", clock)
        alert = Alert(
            organization_id="acme",
            alert_key="disk:1",
            title="Disk is full",
            text="No <space> left on db-1",
            severity=Severity.CRITICAL,
            url="https://acme.test/disks/1",
            occurred_at=NOW,
            channels=(
                EmailChannel(to="ada@example.com"),
                WebhookChannel(url=f"{hook.url}/hooks/secret"),
                SmsChannel(to="+15551234567"),
            ),
        )
        yield Stage(mail, hook, provider, services, alert)
        services.database.close()


def verified(seen: Seen, secret: str) -> bool:
    """As a receiver does it by the Standard Webhooks, without any code of ours."""
    signed = f"{seen.headers['webhook-id']}.{seen.headers['webhook-timestamp']}.".encode() + seen.body
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}" in seen.headers["webhook-signature"].split(" ")


def test_tells_every_channel_and_notes_each(stage: Stage) -> None:
    stage.dispatch()

    (mail,), (hook,), (sms,) = stage.mail.mails, stage.hook.seen, stage.provider.seen
    html = mail.get_body(("html",))
    assert (mail["To"], mail["Subject"]) == ("ada@example.com", "[critical] Disk is full")
    assert html is not None
    assert "No &lt;space&gt; left on db-1" in html.get_content()
    assert "2026-03-01 12:00 UTC" in html.get_content()
    assert (hook.method, hook.path, hook.json) == (
        "POST",
        "/hooks/secret",
        {
            "type": "alert.raised",
            "timestamp": "2026-03-01T12:00:00+00:00",
            "data": {
                "organization_id": "acme",
                "alert_key": "disk:1",
                "severity": "critical",
                "title": "Disk is full",
                "text": "No <space> left on db-1",
                "url": "https://acme.test/disks/1",
            },
        },
    )
    assert sms.json == {
        "from": "+15550001111",
        "to": "+15551234567",
        "text": "CRITICAL: Disk is full https://acme.test/disks/1",
    }
    assert stage.services.deliveries.of("job-1") == {
        MAIL: Delivery("job-1", 0, "acme", "email", Status.DELIVERED, 1, "<job-1-0@acme.test>", "", NOW),
        HOOK: Delivery("job-1", 1, "acme", "webhook", Status.DELIVERED, 1, "job-1-1", "", NOW),
        SMS: Delivery("job-1", 2, "acme", "sms", Status.DELIVERED, 1, "m-1", "", NOW),
    }


def test_a_webhook_is_signed_with_its_organisations_secret(stage: Stage) -> None:
    stage.dispatch()

    (hook,) = stage.hook.seen
    assert hook.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert verified(hook, secret_of(MASTER, "acme"))
    assert not verified(hook, secret_of(MASTER, "other"))
    assert not verified(replace(hook, body=hook.body + b" "), secret_of(MASTER, "acme"))


def test_a_channel_that_fails_is_tried_again_and_the_others_are_left_in_peace(stage: Stage) -> None:
    stage.hook.will(reply(503), reset(), reply(200))

    for attempt in (1, 2):
        with pytest.raises(TryAgain, match=r"^1 of 3 channels to be tried again: webhook 1: "):
            stage.dispatch(attempt)
    stage.dispatch(3)
    stage.dispatch(4)

    assert stage.received == (1, 3, 1)
    assert stage.statuses == {
        MAIL: (Status.DELIVERED, 1),
        HOOK: (Status.DELIVERED, 3),
        SMS: (Status.DELIVERED, 1),
    }
    assert len({(seen.headers["webhook-id"], seen.body) for seen in stage.hook.seen}) == 1


@pytest.mark.parametrize("act", [reply(302, location="/other"), reply(400), reply(404), reply(500)])
def test_whatever_a_receiver_says_but_yes_and_gone_is_tried_again(stage: Stage, act: Act) -> None:
    stage.hook.will(act)

    with pytest.raises(TryAgain):
        stage.dispatch()

    assert len(stage.hook.seen) == 1


def test_a_channel_that_refuses_holds_none_up_and_is_not_tried_again(stage: Stage) -> None:
    stage.hook.will(reply(410))
    stage.mail.refusals["rcpt"] = ["450 4.2.0 later"]

    with pytest.raises(TryAgain, match=r"^1 of 3 channels to be tried again: email 0: "):
        stage.dispatch(1)
    with pytest.raises(Reject) as caught:
        stage.dispatch(2)

    assert str(caught.value) == f"1 of 3 channels refused: webhook 1: {stage.hook.url} answers 410"
    assert stage.received == (1, 1, 1)


def test_a_job_that_somebody_retries_by_hand_asks_again_who_had_refused(stage: Stage) -> None:
    stage.hook.will(reply(410), reply(200))

    with pytest.raises(Reject):
        stage.dispatch(1)
    stage.dispatch(1)

    assert stage.received == (1, 2, 1)
    assert stage.statuses[HOOK] == (Status.DELIVERED, 2)


def test_comes_again_when_the_only_one_that_failed_says(stage: Stage) -> None:
    stage.hook.will(reply(429, retry_after="42"))

    with pytest.raises(TryAgain) as caught:
        stage.dispatch()

    assert caught.value.after == 42.0


def test_does_not_wait_for_the_one_that_said_when_another_may_come_sooner(stage: Stage) -> None:
    stage.hook.will(reply(429, retry_after="42"))
    stage.provider.will(reply(500))

    with pytest.raises(TryAgain) as caught:
        stage.dispatch()

    assert caught.value.after == 0.0


def test_webhooks_to_private_addresses_are_refused(stage: Stage) -> None:
    alert = stage.alert.model_copy(update={"channels": (WebhookChannel(url="http://[::1]:9/"),)})

    with pytest.raises(Reject, match=r"leads to ::1, which is not public$"):
        stage.dispatch(alert=alert)


def test_a_webhook_that_cannot_be_signed_is_not_sent(stage: Stage, tmp_path: Path) -> None:
    settings = replace(settings_for(tmp_path), webhook_secrets=())
    services = compose(settings, lambda alert: "", clock)

    with pytest.raises(Reject, match=r"^webhooks cannot be signed: set CREWCALL_WEBHOOK_SECRET, then retry this job$"):
        services.channels.webhooks.post(f"{stage.hook.url}/", "acme", b"{}", "k")

    services.database.close()
    assert stage.hook.seen == []


def test_sends_nothing_when_nothing_can_be_noted(stage: Stage) -> None:
    with stage.services.database.begin() as connection:
        connection.execute(text("PRAGMA query_only=ON"))

    for attempt in (1, 2):
        with pytest.raises(StorageUnavailable, match="readonly"):
            stage.dispatch(attempt)

    assert stage.received == (0, 0, 0)


def test_what_may_have_been_delivered_is_delivered_again_and_says_so(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.services.deliveries.note(Delivery("job-1", MAIL, "acme", "email", Status.SENDING, 1, "", "", NOW))

    stage.dispatch(2)

    assert stage.received == (1, 1, 1)
    assert stage.statuses[MAIL] == (Status.DELIVERED, 2)
    assert "email 0 of job job-1 may have been delivered before: its last try did not end" in caplog.messages


@pytest.mark.parametrize(
    "url",
    [
        "http://a\x00b/",
        "http://\x1b[31mEVIL/",
        "http://[::1/",
        "http://a]b/",
        "http://h:99999/",
        "http://ex\uff0fample/",
    ],
)
def test_an_address_that_nobody_can_read_holds_no_channel_up(stage: Stage, url: str) -> None:
    """As a job from before such addresses were refused has it."""
    broken = WebhookChannel.model_construct(url=url)
    alert = stage.alert.model_copy(update={"channels": (broken, *stage.alert.channels)})

    with pytest.raises((Reject, TryAgain)) as caught:
        stage.dispatch(alert=alert)

    assert stage.received == (1, 1, 1)
    assert stage.statuses[0][0] in (Status.REFUSED, Status.FAILED)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "act",
    [flood(pieces=1000, content_type="text/plain"), break_off(), drip()],
    ids=["large", "truncated", "endless"],
)
def test_a_yes_is_a_yes_whatever_is_said_besides(stage: Stage, act: Act) -> None:
    stage.hook.will(act)

    stage.dispatch()

    assert stage.statuses[HOOK] == (Status.DELIVERED, 1)


def test_a_date_beyond_all_measure_is_no_word_of_when(stage: Stage) -> None:
    stage.hook.will(reply(503, retry_after="Mon, 01 Jan 99999999999999999999 00:00:00 GMT"))

    with pytest.raises(TryAgain) as caught:
        stage.dispatch()

    assert (caught.value.after, stage.received) == (0.0, (1, 1, 1))


def test_a_title_that_no_mail_can_have_holds_no_other_channel_up(stage: Stage) -> None:
    alert = stage.alert.model_copy(update={"title": "Sensor\x85down"})

    with pytest.raises(Reject, match=r"^1 of 3 channels refused: email 0: the mail cannot be written"):
        stage.dispatch(alert=alert)

    assert stage.received == (0, 1, 1)


def test_a_defect_in_one_channel_holds_none_up_and_is_tried_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def send(self, mail: Mail, key: str) -> str:
            raise ZeroDivisionError

    channels = replace(stage.services.channels, mailer=Broken())

    with pytest.raises(TryAgain, match=r"^1 of 3 channels to be tried again: email 0: ZeroDivisionError$"):
        dispatch(stage.alert, a_context(attempt=1), channels, stage.services.deliveries, clock)

    assert stage.received == (0, 1, 1)
    assert "email 0 of job job-1 was not delivered" in caplog.messages


def test_a_long_alert_is_cut_for_a_text_message(stage: Stage) -> None:
    alert = stage.alert.model_copy(update={"url": "https://acme.test/" + "x" * 900})

    stage.dispatch(alert=alert)

    (sms,) = stage.provider.seen
    assert isinstance(sms.json, dict)
    assert (len(sms.json["text"]), sms.json["text"][-1]) == (459, "…")


def test_what_failed_names_nobody(stage: Stage) -> None:
    stage.hook.will(reply(500))
    stage.provider.will(reply_json(400, {"errors": [{"code": "10002", "title": "Invalid number +15551234567"}]}))
    stage.mail.refusals["rcpt"] = ["550 5.1.1 <ada@example.com> unknown"]

    with pytest.raises(TryAgain) as caught:
        stage.dispatch()

    noted = "".join(one.error for one in stage.services.deliveries.of("job-1").values())
    for private in ("ada@", "5551234567", "secret", "space"):
        assert private not in str(caught.value) + noted
