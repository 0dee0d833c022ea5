"""Fields that nobody is to see, wherever they are."""

from __future__ import annotations

from typing import Any

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


def test_what_is_hidden_is_blotted_out_of_errors_and_tracebacks() -> None:
    job = a_job(error="ValueError: no way to +15550001", traceback="... Payload(to='+15550001', number=7)")

    found = Redaction(["to", "number"]).of_job(job)

    assert (found.error, found.traceback) == (
        "ValueError: no way to •••",
        "... Payload(to='•••', number=7)",  # of so few characters that they are in every text
    )


def test_it_is_blotted_out_as_a_repr_has_it_too() -> None:
    job = JobView("id", "id", JobState.DEAD, "sms", payload={"note": 'it\'s\n"odd"'}, error=repr('it\'s\n"odd"'))

    assert Redaction(["note"]).of_job(job).error == "'•••'"


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
