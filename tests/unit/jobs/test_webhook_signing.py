"""Signatures of webhooks, against the example that the Standard Webhooks' own libraries are tested with."""

from __future__ import annotations

from crewcall_jobs.alerts.signing import secret_of, sign

# From the test vectors of https://github.com/standard-webhooks/standard-webhooks (libraries/*/test).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_signs_as_the_standard_has_it() -> None:
    assert sign([SECRET], MESSAGE_ID, TIMESTAMP, BODY) == {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": str(TIMESTAMP),
        "webhook-signature": SIGNATURE,
    }


def test_signs_with_each_secret_while_one_is_on_its_way_out() -> None:
    other = secret_of("x" * 24, "acme")

    first, second = sign([other, SECRET], MESSAGE_ID, TIMESTAMP, BODY)["webhook-signature"].split(" ")

    assert (first != second, second) == (True, SIGNATURE)


def test_each_organisation_has_a_secret_of_its_own_that_stays() -> None:
    master = "a master of at least 24 characters"

    assert secret_of(master, "acme") == secret_of(master, "acme")
    assert len({secret_of(master, "acme"), secret_of(master, "other"), secret_of(master + "!", "acme")}) == 3
    assert secret_of(master, "acme").startswith("whsec_")
