"""A typed job's message is copied and encoded as Dramatiq's own is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from dramatiq import Message, set_encoder
from dramatiq.encoder import JSONEncoder, PickleEncoder
from hypothesis import given
from hypothesis import strategies as st

from crewcall_worker.job_message import Delivery, JobMessage

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def sms() -> tuple[Any, ...]:
    """The fields of a message: each time others, as a test may write into them."""
    return ("sms", "sms.send", (), {"payload": {"text": "hi"}}, {"organization_id": "acme"}, "id", 1_800)


@pytest.fixture
def pickling() -> Iterator[None]:
    set_encoder(PickleEncoder())
    yield
    set_encoder(JSONEncoder())


@given(st.dictionaries(st.text(), values, max_size=3), st.dictionaries(st.text(), values, max_size=3))
def test_is_read_as_what_dramatiq_would_have_written(kwargs: dict[str, Any], options: dict[str, Any]) -> None:
    fields = ("sms", "sms.send", (), kwargs, options, "id", 1_800)
    assert json.loads(JobMessage(*fields).encode()) == json.loads(Message(*fields).encode())


def test_half_a_character_is_written_as_dramatiq_does() -> None:
    fields = ("sms", "sms.send", (), {"payload": {"text": "\ud800"}}, {"organization_id": "acme"}, "id", 1_800)
    assert JobMessage(*fields).encode() == Message(*fields).encode()


@pytest.mark.usefixtures("pickling")
def test_is_encoded_by_the_projects_own_encoder() -> None:
    assert JobMessage(*sms()).encode() == Message(*sms()).encode()


def test_what_cannot_be_written_is_told_by_dramatiqs_error() -> None:
    fields = ("sms", "sms.send", (), {"odd": object()}, {"organization_id": "acme"}, "id", 1_800)
    with pytest.raises(TypeError):
        JobMessage(*fields).encode()


def test_a_copy_has_options_of_its_own() -> None:
    message = JobMessage(*sms())
    made = message.copy(queue_name="mail", args=[1], options={"retries": 2})
    made.options["more"] = True

    assert (type(made), message) == (JobMessage, JobMessage(*sms()))
    assert made.asdict() == {
        **message.asdict(),
        "queue_name": "mail",
        "args": (1,),
        "options": {"organization_id": "acme", "retries": 2, "more": True},
    }


def test_a_delivery_is_what_it_carries() -> None:
    message = JobMessage(*sms())
    delivery = Delivery(message)
    delivery.options["traceback"] = "..."

    assert (delivery.message_id, delivery.kwargs, delivery.options) == ("id", message.kwargs, message.options)
    assert (message.options["traceback"], delivery.encode()) == ("...", message.encode())
