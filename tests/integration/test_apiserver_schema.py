"""What a custom resource's schema and CEL rules fill in, drop and refuse: on our API server and on a real one."""

from __future__ import annotations

import pytest
from tests.support.api_cluster import ApiCluster, Object, Refused
from tests.support.crews import crew

UNCHECKED = (
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)
TOO_WIDE = "Checked value must be of type integer with format int32"


def mistyped(field: str, found: str, wanted: str) -> tuple[str, str]:
    return field, f'Invalid value: "{found}": {field} in body must be of type {wanted}: "{found}"'


def should(field: str, value: str, rule: str) -> tuple[str, str]:
    return field, f"Invalid value: {value}: {field} in body should {rule}"


async def test_fills_in_defaults_and_drops_what_the_schema_does_not_know(crews: ApiCluster, namespace: str) -> None:
    sent = crew(
        namespace, bogus=1, nested={"z": 1}, queues=[{"name": "q", "x": 1}], open={"any": 1}, nothing=None, max=None
    )

    made = await crews.create(sent)

    assert made["spec"] == {
        "size": 1,
        "port": 80,
        "colour": "Red",
        "nested": {"deep": "x"},
        "queues": [{"name": "q", "weight": 1}],
        "open": {"any": 1},
        "nothing": None,
    }


async def test_warns_of_unknown_fields_and_refuses_them_when_asked_to_be_strict(
    crews: ApiCluster, namespace: str
) -> None:
    path = crews.path("Crew", namespace)
    warned = await crews.ask("POST", path, crew(namespace, bogus=1), dryRun="All")
    refused = await crews.ask("POST", path, crew(namespace, bogus=1), fieldValidation="Strict")

    assert warned.headers["Warning"] == '299 - "unknown field \\"spec.bogus\\""'
    assert refused.status == 400
    assert refused.body["message"] == (
        'Crew in version "v1" cannot be handled as a Crew: strict decoding error: unknown field "spec.bogus"'
    )


@pytest.mark.parametrize(
    ("spec", "causes"),
    [
        ({"size": -1}, [should("spec.size", "-1", "be greater than or equal to 0")]),
        ({"size": 101}, [should("spec.size", "101", "be less than or equal to 100")]),
        ({"size": "x"}, [UNCHECKED, mistyped("spec.size", "string", "integer")]),
        ({"size": True}, [UNCHECKED, mistyped("spec.size", "boolean", "integer")]),
        ({"max": 2**40}, [("<nil>", f'Invalid value: "": {TOO_WIDE} in spec.max')]),
        ({"colour": "X"}, [UNCHECKED, ("spec.colour", 'Unsupported value: "X": supported values: "Red", "Blue"')]),
        ({"word": "A1"}, [should("spec.word", '"A1"', "match '^[a-z]+$'")]),
        ({"word": "a"}, [should("spec.word", '"a"', "be at least 2 chars long")]),
        ({"word": "abcdef"}, [UNCHECKED, ("spec.word", "Too long: may not be more than 5 bytes")]),
        ({"ratio": 0}, [should("spec.ratio", "0", "be greater than 0")]),
        ({"amount": 1.5}, [UNCHECKED, mistyped("spec.amount", "number", "integer,string")]),
        ({"wait": "x"}, [UNCHECKED, mistyped("spec.wait", "x", "duration")]),
        ({"wait": "10ms"}, [("spec.wait", 'Invalid value: "10ms": wait must be 1s or more')]),
        ({"tags": ["a", "a"]}, [("spec.tags[1]", 'Duplicate value: "a"')]),
        ({"tags": list("abcd")}, [UNCHECKED, ("spec.tags", "Too many: 4: must have at most 3 items")]),
        ({"tags": ["bad"]}, [("spec.tags", "Invalid value: no tag may be bad")]),
        ({"ratio": 200}, [("spec.ratio", "Invalid value: 200: ratio must be small")]),
        ({"tags": []}, [should("spec.tags", "0", "have at least 1 items")]),
        ({"queues": [{"name": "a"}, {"name": "a"}]}, [("spec.queues[1]", 'Duplicate value: {"name":"a"}')]),
        ({"queues": [{"weight": 2}]}, [UNCHECKED, ("spec.queues[0].name", "Required value")]),
        ({"queues": [{"name": "a", "weight": -1}]}, [("spec.queues[0]", "Invalid value: weight must be positive")]),
        ({"queues": {}}, [UNCHECKED, mistyped("spec.queues", "object", "array")]),
        ({"labels": {"a": "long"}}, [UNCHECKED, ("spec.labels.a", "Too long: may not be more than 3 bytes")]),
        ({"size": 5, "max": 3}, [("spec", "Invalid value: size must not exceed max")]),
        ({"port": 13}, [("spec.port", "Forbidden: port 13 is unlucky")]),
    ],
)
async def test_refuses_what_the_schema_and_its_rules_do_not_allow(
    crews: ApiCluster, namespace: str, spec: Object, causes: list[tuple[str, str]]
) -> None:
    with pytest.raises(Refused) as refused:
        await crews.create(crew(namespace, **spec))

    assert (refused.value.status, refused.value.body["reason"]) == (422, "Invalid")
    assert refused.value.causes == causes


async def test_refuses_an_object_without_a_spec_or_with_a_bad_name(crews: ApiCluster, namespace: str) -> None:
    without = {**crew(namespace)}
    del without["spec"]
    with pytest.raises(Refused) as lacking:
        await crews.create(without)
    with pytest.raises(Refused) as misnamed:
        await crews.create(crew(namespace, name="A_b"))

    assert lacking.value.causes == [UNCHECKED, ("spec", "Required value")]
    assert [field for field, _ in misnamed.value.causes] == ["metadata.name"]


async def test_lets_no_field_change_whose_rule_says_that_it_may_not(crews: ApiCluster, namespace: str) -> None:
    await crews.create(crew(namespace, namespace="n"))

    with pytest.raises(Refused) as refused:
        await crews.patch("Crew", namespace, "a", {"spec": {"namespace": "m"}})

    assert refused.value.causes == [("spec.namespace", 'Invalid value: "m": namespace is immutable')]
