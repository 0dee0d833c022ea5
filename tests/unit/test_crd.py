"""The CRD by itself: the same fields, bounds, defaults and verdicts as `api.schema`, and a description everywhere."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.apiserver import rules, structure, validation
from tests.support.workerpools import WRONG, crd, workerpool
from tests.support.workerpools import schema as crd_schema

from crewcall_operator.api import names, schema
from crewcall_operator.api.duration import PATTERN
from crewcall_operator.api.spec import read_pool
from crewcall_operator.errors import InvalidSpec

CONSTRAINTS = ("type", "enum", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems")

#: Fields of the pod template that only `api.schema` looks at, since a null is allowed there.
TEMPLATE = "spec.template"


#: What CEL cannot tell: which time zones there are, and what the fields of a cron expression mean.
ONLY_PYTHON = ("must be a name of the IANA time zone database", "must be five cron fields: ")

#: Made here and not in a test: cel-python raises the recursion limit, which hypothesis must not see happen.
RULES = rules.Rulebook(crd_schema(), is_root=True)


def verdict(resource: dict[str, Any]) -> list[str]:
    """What the schema and its rules have against `resource`, once its defaults are filled in."""
    body = copy.deepcopy(resource)
    structure.fill(body, crd_schema())
    causes = validation.judge(body, crd_schema())
    if not any(cause.reason in validation.BLOCKING for cause in causes):
        causes += RULES.judge(body, None)
    return [cause.field for cause in causes]


def in_crd(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every field below `node` with its path."""
    for name, field in node.get("properties", {}).items():
        yield f"{path}{name}", field
        yield from in_crd(field, f"{path}{name}.")
    if "items" in node:
        yield f"{path}[]", node["items"]
        yield from in_crd(node["items"], f"{path}[].")


def in_model(node: Mapping[str, Any], defs: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The same of pydantic's JSON schema."""
    for name, field in node.get("properties", {}).items():
        found = resolved(field, defs)
        yield f"{path}{name}", found
        yield from in_model(found, defs, f"{path}{name}.")
    if "items" in node:
        item = resolved(node["items"], defs)
        yield f"{path}[]", item
        yield from in_model(item, defs, f"{path}[].")


def resolved(field: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """`field` with references followed, and without the null that stands for an absent one."""
    inner = next((option for option in field.get("anyOf", ()) if option != {"type": "null"}), field)
    if "$ref" in inner:
        inner = defs[inner["$ref"].rpartition("/")[2]]
    return {**field, **inner}


def limits(field: Mapping[str, Any], required: str = "required") -> dict[str, Any]:
    kept = {name: field[name] for name in CONSTRAINTS if name in field}
    return kept | {"required": sorted(field.get(required, ()))}


def test_has_the_fields_and_bounds_of_the_python_schema() -> None:
    document = schema.Spec.model_json_schema(by_alias=True)
    model = {f"spec.{path}": limits(field) for path, field in in_model(document, document["$defs"])}
    ours = {f"spec.{path}": limits(field) for path, field in in_crd(crd_schema()["properties"]["spec"])}
    for path in [path for path in model if path.startswith(TEMPLATE) and path not in ours]:
        del model[path]
    for tolerance in ("spec.behavior.scaleUp.tolerance", "spec.behavior.scaleDown.tolerance"):
        assert ours[tolerance].pop("minimum") == 0
        assert ours[tolerance].pop("maximum") == schema.MAX_TOLERANCE

    assert model == ours


def values(field: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values for `field` on either side of its bounds."""
    if "enum" in field:
        return st.sampled_from([*field["enum"], "other"])
    if field.get("pattern") == PATTERN:
        return st.sampled_from(
            ["0s", "1ms", "999.9ms", "1s", "1h30m", "24h", "24h1ms", "168h", "169h", "5", "-1s", "1d"]
        )
    match field.get("type"):
        case "object":
            inner = {name: values(item) for name, item in field["properties"].items()}
            needed = {name: inner.pop(name) for name in field.get("required", ())}
            return st.fixed_dictionaries(needed, optional=inner)
        case "array":
            return st.lists(values(field["items"]), max_size=2)
        case "integer":
            low, high = field["minimum"], field["maximum"]
            return st.sampled_from([low - 1, low, low + 1, high, high + 1])
        case "number":
            return st.sampled_from([-1, 0, 0.001, 0.5, 1, field["maximum"], field["maximum"] + 1])
        case "string":
            words = ["", "a", "a.DQ", "A_b", "1st", "a:1", "x" * 300, "0 8 * * 1-5", "redis://a:1/2", "redis://:b@c/x"]
            return st.sampled_from(words)
        case None:
            return st.sampled_from([-0.1, 0, 0.05, 100, 100.1, "0.1", "50m", "-1", "100", "ten"])
    raise AssertionError(field)


def pools() -> st.SearchStrategy[dict[str, Any]]:
    """Pools with up to three fields that are not those of a valid one."""
    fields = dict(crd_schema()["properties"]["spec"]["properties"])
    del fields["template"]
    drawn = st.one_of([st.tuples(st.just(name), values(field)) for name, field in fields.items()])
    return st.lists(drawn, max_size=3).map(lambda found: workerpool(**dict(found)))


@given(pools())
def test_python_accepts_and_refuses_the_same(resource: dict[str, Any]) -> None:
    try:
        read_pool(resource)
    except InvalidSpec as error:
        told = [str(problem) for problem in error.problems if not problem.allowed.startswith(ONLY_PYTHON)]
    else:
        told = []

    assert bool(told) == bool(verdict(resource)), told


def test_has_the_names_of_the_operator() -> None:
    found = crd()

    assert found["metadata"]["name"] == f"{names.PLURAL}.{names.GROUP}"
    assert found["spec"]["names"]["kind"] == names.KIND
    assert [version["name"] for version in found["spec"]["versions"]] == [names.VERSION]


@pytest.mark.parametrize(
    "resource",
    [
        workerpool(),
        workerpool(behavior={"scaleUp": {}, "scaleDown": {}}, fallback={}, drain={}),
        workerpool(behavior={"scaleDown": {"tolerance": 0.2}}, fallback={"policy": "Replicas", "replicas": 1}),
    ],
)
def test_its_defaults_are_those_of_python(resource: dict[str, Any]) -> None:
    filled = copy.deepcopy(resource)
    structure.fill(filled, crd_schema())

    assert filled != resource
    assert read_pool(filled) == read_pool(resource)


def test_describes_every_field() -> None:
    bare = [
        path
        for path, field in in_crd(crd_schema())
        if not field.get("description") and not path.endswith("[]") and path != "metadata"
    ]

    assert bare == []


@pytest.mark.parametrize(("resource", "path"), WRONG.values(), ids=WRONG)
def test_refuses_what_is_wrong_where_it_is_wrong(resource: dict[str, Any], path: str) -> None:
    expected = "<nil>" if path == "metadata.name" else path

    assert set(verdict(resource)) == {expected}


@pytest.mark.parametrize("tolerance", [0, 0.05, 1, "0.1", "50m", "1"])
def test_takes_a_tolerance_as_a_number_or_a_quantity(tolerance: object) -> None:
    assert verdict(workerpool(behavior={"scaleUp": {"tolerance": tolerance}})) == []


def test_a_pool_may_not_move_to_another_namespace_of_redis() -> None:
    before, after = workerpool(), workerpool(redis={"url": "redis://redis", "namespace": "other"})
    structure.fill(before, crd_schema())

    causes = list(RULES.judge(after, before))

    assert [cause.field for cause in causes] == ["spec.redis.namespace"]


def test_prints_backlog_and_oldest_as_text_since_they_may_be_a_question_mark() -> None:
    columns = crd()["spec"]["versions"][0]["additionalPrinterColumns"]

    assert [(column["name"], column["type"]) for column in columns if not column.get("priority")] == [
        ("Desired", "integer"),
        ("Current", "integer"),
        ("Ready", "integer"),
        ("Backlog", "string"),
        ("Oldest", "string"),
        ("Reason", "string"),
        ("Age", "date"),
    ]
