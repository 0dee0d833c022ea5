"""Fields that nobody is to see, wherever they are."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewcall_worker.board.redaction import Redaction
from crewcall_worker.queues.job_view import JobState, JobView

PAYLOAD: dict[str, Any] = {
    "to": "+15550001",
    "customer": {"Phone": "+15550001", "cards": [{"number": "4111-1111", "kind": "visa"}], "name": "Ada"},
    "number": 7,
}


def shown(value: Any, *names: str) -> Any:
    return Redaction(names)(value)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), PAYLOAD),
        (("nothing",), PAYLOAD),
        (
            ("number",),
            {
                **PAYLOAD,
                "number": "•••",
                "customer": {"Phone": "+15550001", "cards": [{"number": "•••", "kind": "visa"}], "name": "Ada"},
            },
        ),
        (("PHONE", "to"), {**PAYLOAD, "to": "•••", "customer": {**PAYLOAD["customer"], "Phone": "•••"}}),
        (
            ("customer.cards.number",),
            {**PAYLOAD, "customer": {**PAYLOAD["customer"], "cards": [{"number": "•••", "kind": "visa"}]}},
        ),
        (("*.name",), {**PAYLOAD, "customer": {**PAYLOAD["customer"], "name": "•••"}}),
        (("customer",), {**PAYLOAD, "customer": "•••"}),
    ],
)
def test_names_are_hidden_anywhere_and_paths_where_they_lead(names: tuple[str, ...], expected: Any) -> None:
    assert shown(PAYLOAD, *names) == expected


def a_job(**fields: Any) -> JobView:
    return JobView("id", "id", JobState.DEAD, "sms", payload=PAYLOAD, **fields)


SECRET = 'Öl & "4111 1111"'


@pytest.mark.parametrize(
    "words",
    [
        SECRET,
        repr(SECRET),
        json.dumps(SECRET),
        quote(SECRET),
        quote_plus(SECRET),
        SECRET.upper(),
        f"input_value='{SECRET[:4]}...{SECRET[-4:]}'",
    ],
)
def test_of_an_error_the_type_alone_is_shown_where_something_is_hidden(words: str) -> None:
    job = JobView(
        "id", "id", JobState.DEAD, "sms", payload={"card": SECRET}, error=f"ValueError: {words}", traceback=words
    )

    found = Redaction(["card"]).of_job(job)

    assert (found.error, found.traceback) == ("ValueError: •••", "•••")


def test_an_error_without_a_type_is_not_shown_at_all_then() -> None:
    assert Redaction(["to"]).of_job(a_job(error="+15550001: no such number")).error == "•••"


@pytest.mark.parametrize("payload", [{}, {"phone": None}, {"phone": ""}, {"phone": []}])
def test_an_error_is_shown_where_the_hidden_field_holds_nothing(payload: Any) -> None:
    job = JobView("id", "id", JobState.DEAD, "sms", payload=payload, error="KeyError: 'x'", traceback="it")

    found = Redaction(["phone"]).of_job(job)

    assert (found.error, found.traceback) == ("KeyError: 'x'", "it")


def test_an_error_is_hidden_where_nobody_can_tell_what_the_payload_holds() -> None:
    job = JobView("id", "id", JobState.COMPLETED, "sms", is_cut=True, error="KeyError: 'x'")

    assert Redaction(["phone"]).of_job(job).error == "KeyError: •••"


def test_what_has_a_field_of_its_own_is_hidden_by_its_name_too() -> None:
    job = a_job(organization_id="acme", error="KeyError: 'acme'", traceback="acme")

    found = Redaction(["organization_id", "error", "traceback"]).of_job(job)

    assert (found.organization_id, found.error, found.traceback) == ("•••", "•••", "•••")


def test_options_are_no_way_around_it() -> None:
    job = a_job(options={"trace": {"phone": "+15550002"}}, error="+15550002")

    found = Redaction(["phone"]).of_job(job)

    assert (found.options, found.error) == ({"trace": {"phone": "•••"}}, "•••")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(_JSON, st.text(min_size=8))
def test_a_hidden_value_is_nowhere_in_what_is_shown(around: Any, secret: str) -> None:
    payload = {"around": around, "deep": [{"secret": secret}], "secret": [secret]}
    view = JobView("id", "id", JobState.DEAD, "sms", payload=payload, error=f"a {secret} b", traceback=repr(secret))

    found = Redaction(["secret"]).of_job(view)

    assert found.payload == {"around": shown(around, "secret"), "deep": [{"secret": "•••"}], "secret": "•••"}
    assert secret not in (found.error or "").replace("•••", "")
    assert repr(secret)[1:-1] not in (found.traceback or "").replace("•••", "")
