"""What a job carries is what it was given, or is refused: nothing is changed on the way in silence. No Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

from crewcall_worker.queues import (
    CATALOGUE,
    Dedupe,
    InvalidPayload,
    JobContext,
    JobType,
    OrganizationId,
    Payload,
    RateLimit,
    job,
)
from crewcall_worker.queues.messages import make_message, payload_of


class Anything(Payload):
    data: Any


class Secret(Payload):
    token: SecretStr
    note: str = Field(default="", exclude=True)


class Line(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)
    unit_price: int


class Order(Payload):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    order_id: int
    lines: tuple[Line, ...] = ()
    parts: set[int]
    lasts: timedelta = timedelta(0)
    at: datetime | None = None


@pytest.fixture(autouse=True)
def own_catalogue() -> Iterator[None]:
    before = dict(CATALOGUE)
    yield
    CATALOGUE.clear()
    CATALOGUE.update(before)


def a_job(model: type[Payload], **options: Any) -> JobType[Any]:
    def run(payload: Any, context: JobContext) -> None:
        """Never run here."""

    run.__annotations__["payload"] = model
    return job("shop.order", queue="orders", **options)(run)


def circle() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize(
    "data", [None, True, 7, 0.1, "ä", [1, [2.5, None]], {"a": {"b": []}}], ids=lambda data: type(data).__name__
)
def test_what_json_has_arrives_as_it_is(data: Any) -> None:
    payload = Anything(organization_id="acme", data=data)
    kind = a_job(Anything)

    assert payload_of(kind, make_message(kind, payload).kwargs) == payload


def test_fields_with_aliases_arrive_whichever_name_they_come_by() -> None:
    order = Order(
        organization_id="acme",
        order_id=7,
        lines=(Line.model_validate({"unitPrice": 3}),),
        parts={1, 2},
        lasts=timedelta(microseconds=1),
        at=datetime(2026, 3, 1, 12, 0, 0, 5, UTC),
    )
    kind = a_job(Order)

    assert payload_of(kind, make_message(kind, order).kwargs) == order
    assert payload_of(kind, {"payload": json.loads(order.model_dump_json(by_alias=True))}) == order


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        (Secret(organization_id="acme", token=SecretStr("hunter2")), "token"),
        (Secret(organization_id="acme", token=SecretStr(""), note="real"), "note"),
        (Anything(organization_id="acme", data=[float("nan")]), "data"),
        (Anything(organization_id="acme", data=(1, 2)), "data"),
        (Anything(organization_id="acme", data={1: 2}), "data"),
    ],
)
def test_what_would_be_changed_on_the_way_is_refused_by_its_name(payload: Payload, fields: str) -> None:
    with pytest.raises(InvalidPayload, match=rf"^The payload of shop.order would not arrive as it is: {fields}\. "):
        make_message(a_job(type(payload)), payload)


@pytest.mark.parametrize("data", [object(), "\ud800", b"\xff", circle()], ids=["object", "half", "bytes", "circle"])
def test_what_cannot_be_written_is_an_invalid_payload(data: Any) -> None:
    with pytest.raises(InvalidPayload, match=r"^The payload of shop.order cannot be written as JSON: "):
        make_message(a_job(Anything), Anything(organization_id="acme", data=data))


def test_a_payload_that_is_too_large_is_told_with_both_sizes() -> None:
    kind, payload = a_job(Anything), Anything(organization_id="acme", data="ä" * 500)

    with pytest.raises(InvalidPayload, match=r"has 1036 bytes; expected at most 1035 \(CREWCALL_LARGEST_PAYLOAD\)\. "):
        make_message(kind, payload, largest=1035)
    assert make_message(kind, payload, largest=1036).actor_name == "shop.order"


@pytest.mark.parametrize("key", ["\ud800", 5, b"x"])
def test_a_key_that_redis_could_not_have_is_told(key: Any) -> None:
    payload = Anything(organization_id="acme", data=1)

    with pytest.raises(ValueError, match=r"^dedupe_key is .*; expected a text that UTF-8 can write$"):
        make_message(a_job(Anything), payload, dedupe_key=key)
    with pytest.raises(ValueError, match=r"^the rate limit's key is .*; expected a text that UTF-8 can write$"):
        make_message(a_job(Anything, rate=RateLimit(1, key=lambda _: key)), payload)


@pytest.mark.parametrize("window", [0, -1, 0.0001, float("inf"), float("nan"), 1e12])
def test_a_window_that_is_none_is_told_where_it_is_declared(window: float) -> None:
    with pytest.raises(ValueError, match=r"^window is .*; expected seconds, from 0.001 to 315619200 \(ten years\)$"):
        Dedupe(key=str, window=window)


def test_whose_job_it_is_cannot_be_said_in_another_way() -> None:
    class Mixed(BaseModel):
        organization_id: str

    with pytest.raises(TypeError, match=r"^Own has an organization_id of its own; leave it out, Payload has it$"):

        class Own(Payload):
            organization_id: OrganizationId = "acme"

    with pytest.raises(TypeError, match=r"^Mixed has an organization_id of its own"):

        class Both(Mixed, Payload):
            pass
