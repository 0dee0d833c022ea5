"""`sms.send` against a provider that speaks as Telnyx does, on the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.job_types import NOW, a_context, clock, settings_for
from tests.support.web_servers import Act, WebServer, break_off, hang, reply, reply_json, reset, web_server

from crewcall_jobs.composition import Services, compose
from crewcall_jobs.delivering import deliver_once
from crewcall_jobs.errors import JobFailed, Undelivered, Unreachable
from crewcall_jobs.sms.payload import Sms
from crewcall_jobs.storage.deliveries import Delivery, Status
from crewcall_worker.queues import JobContext, Reject, TryAgain

SMS = Sms(organization_id="acme", to="+15551234567", text="Grüße €")
TAKEN = reply_json(200, {"data": {"id": "m-1", "to": [{"phone_number": "+15551234567", "status": "queued"}]}})


@pytest.fixture
def provider() -> Iterator[WebServer]:
    with web_server(TAKEN) as running:
        yield running


@pytest.fixture
def services(provider: WebServer, tmp_path: Path) -> Iterator[Services]:
    made = compose(settings_for(tmp_path, sms_url=f"{provider.url}/v2"), lambda alert: "", clock)
    yield made
    made.database.close()


def send(services: Services, context: JobContext, sms: Sms = SMS) -> None:
    deliver_once(
        services.deliveries,
        context,
        "sms",
        lambda: services.sms.send(sms.to, sms.text, sms.sender, context.id),
        clock,
    )


def test_hands_the_message_to_the_provider_and_notes_its_id(services: Services, provider: WebServer) -> None:
    send(services, a_context())

    (seen,) = provider.seen
    assert (seen.method, seen.path, seen.json) == (
        "POST",
        "/v2/messages",
        {"from": "+15550001111", "to": "+15551234567", "text": "Grüße €"},
    )
    assert {name: seen.headers[name] for name in ("authorization", "content-type", "idempotency-key")} == {
        "authorization": "Bearer KEY-1",
        "content-type": "application/json",
        "idempotency-key": "job-1",
    }
    assert services.deliveries.of("job-1") == {
        0: Delivery("job-1", 0, "acme", "sms", Status.DELIVERED, 1, "m-1", "", NOW)
    }


def test_a_job_that_runs_a_second_time_sends_nothing(services: Services, provider: WebServer) -> None:
    send(services, a_context())
    send(services, a_context(attempt=2))

    assert len(provider.seen) == 1


def test_a_second_try_is_the_same_to_the_byte_and_under_the_same_key(services: Services, provider: WebServer) -> None:
    provider.will(reply(503), TAKEN)

    with pytest.raises(Undelivered, match=r"^the SMS provider answered 503$"):
        send(services, a_context())
    send(services, a_context(attempt=2))

    first, second = provider.seen
    assert (first.body, first.headers["idempotency-key"]) == (second.body, second.headers["idempotency-key"])
    assert services.deliveries.of("job-1")[0].tries == 2


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (reset(), Unreachable),
        (break_off(), Unreachable),
        (reply(200, "<html>not JSON"), Undelivered),
        (reply(401), Undelivered),
        (reply(500), Undelivered),
        (reply(429, retry_after="7"), TryAgain),
        (reply(302, location="https://elsewhere.test/"), Reject),
        (reply_json(400, {"errors": [{"code": "10002", "title": "Invalid phone number"}]}), Reject),
    ],
)
def test_a_provider_that_does_not_take_it_is_noted(
    services: Services, provider: WebServer, act: Act, kind: type[Exception]
) -> None:
    provider.will(act)

    with pytest.raises(kind) as caught:
        send(services, a_context())

    status = Status.REFUSED if kind is Reject else Status.FAILED
    assert services.deliveries.of("job-1") == {
        0: Delivery("job-1", 0, "acme", "sms", status, 1, "", str(caught.value), NOW)
    }
    assert "5551234567" not in str(caught.value)


def test_where_no_provider_is_set_the_job_says_what_to_set(tmp_path: Path) -> None:
    services = compose(settings_for(tmp_path), lambda alert: "", clock)

    with pytest.raises(Reject, match=r"^there is no SMS provider: set CREWCALL_SMS_KEY, then retry this job$"):
        send(services, a_context())
    services.database.close()


def test_the_sender_of_a_message_comes_before_the_one_for_all(services: Services, provider: WebServer) -> None:
    send(services, a_context(), SMS.model_copy(update={"sender": "ACME"}))

    assert provider.seen[0].json == {"from": "ACME", "to": "+15551234567", "text": "Grüße €"}


def test_a_provider_that_hangs_is_left(services: Services, provider: WebServer) -> None:
    from crewcall_jobs.settings import SmsSettings
    from crewcall_jobs.sms.provider import HttpProvider
    from crewcall_jobs.web.client import Web

    provider.will(hang())
    sms = HttpProvider(SmsSettings(provider.url, "k", "+1555"), Web(0.3, 1000, None), clock)

    with pytest.raises(JobFailed, match=r"no whole answer within 0\.3 s$"):
        sms.send("+15551234567", "x", "", "k-1")
