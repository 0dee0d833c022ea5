"""What an SMS provider's answer means."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from crewcall_jobs.errors import Undelivered
from crewcall_jobs.sms.answers import message_id
from crewcall_worker.queues import Reject, TryAgain

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def told(status: int, *problems: tuple[str, str]) -> bytes:
    return json.dumps(
        {"errors": [{"code": code, "title": title, "detail": "of +15551234567"} for code, title in problems]}
    ).encode()


def test_a_message_that_was_taken_has_the_providers_id() -> None:
    assert message_id(200, {}, b'{"data": {"id": "40385f64-5717-4562-b3fc-2c963f66afa6"}}', NOW) == (
        "40385f64-5717-4562-b3fc-2c963f66afa6"
    )


@pytest.mark.parametrize(
    ("status", "problems", "text"),
    [
        (400, [("40310", "Invalid 'to' address")], "the SMS provider answered 400, 40310 Invalid 'to' address"),
        (
            403,
            [("40300", "Blocked due to STOP message")],
            "the SMS provider answered 403, 40300 Blocked due to STOP message",
        ),
        (404, [], "the SMS provider answered 404"),
        (
            422,
            [("10016", "Phone number must be in +E.164 format")],
            "the SMS provider answered 422, 10016 Phone number must be in +E.164 format",
        ),
    ],
)
def test_what_no_other_try_would_mend_is_rejected(status: int, problems: list[tuple[str, str]], text: str) -> None:
    with pytest.raises(Reject) as caught:
        message_id(status, {}, told(status, *problems), NOW)

    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, told(400, ("40011", "Too many requests"))),
        (401, told(401, ("10009", "Authentication failed"))),
        (402, b""),
        (403, told(403, ("10010", "Authorization failed"))),
        (408, b""),
        (429, told(429, ("10011", "Too many requests"))),
        (500, b"<html>"),
        (503, b""),
        (200, b""),
        (200, b"[]"),
        (200, b'{"data": {"id": 7}}'),
        (200, b"[" * 100_000),
    ],
)
def test_what_may_pass_is_tried_again(status: int, body: bytes) -> None:
    with pytest.raises(Undelivered):
        message_id(status, {}, body, NOW)


def test_comes_again_when_the_provider_says() -> None:
    with pytest.raises(TryAgain) as caught:
        message_id(429, {"retry-after": "17"}, told(429, ("10011", "Too many requests")), NOW)

    assert (str(caught.value), caught.value.after) == ("the SMS provider answered 429, 10011 Too many requests", 17.0)


def test_repeats_no_number_and_no_address() -> None:
    body = told(400, ("1", "Number +1 (555) 123-4567 of ada@example.com is wrong"))

    with pytest.raises(Reject) as caught:
        message_id(400, {}, body, NOW)

    assert str(caught.value) == "the SMS provider answered 400, 1 Number … of … is wrong"
