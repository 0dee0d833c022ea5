"""Signatures of webhooks, against the example that the Standard Webhooks' own libraries are tested with."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from crewcall_jobs.alerts.secret import main
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


@pytest.mark.parametrize("name", ["", "a b", "acme\n", "ä", "x" * 101])
def test_what_no_organisation_may_be_called_has_no_secret(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWCALL_WEBHOOK_SECRET", "n" * 24)

    told = CliRunner().invoke(main, [name])

    assert (told.exit_code, "whsec_" in told.output) == (2, False)


def test_nobody_signs_as_another_organisation() -> None:
    signed = {name: sign([secret_of("m" * 24, name)], MESSAGE_ID, TIMESTAMP, BODY) for name in ("acme", "other")}

    assert signed["acme"]["webhook-signature"] != signed["other"]["webhook-signature"]


def test_an_operator_can_look_an_organisations_secret_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWCALL_WEBHOOK_SECRET", f"{'n' * 24} {'o' * 24}")

    told = CliRunner().invoke(main, ["acme"])

    assert (told.exit_code, told.output) == (0, f"{secret_of('n' * 24, 'acme')}\n")


def test_without_the_installations_secret_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREWCALL_WEBHOOK_SECRET", raising=False)

    told = CliRunner().invoke(main, ["acme"])

    assert (told.exit_code, told.output) == (
        2,
        "CREWCALL_WEBHOOK_SECRET is not set; set it to what the workers have\n",
    )
