"""Judges an object by its structural schema, in the real server's words.

Wording: `k8s.io/apiextensions-apiserver/pkg/apiserver/validation` and `k8s.io/kube-openapi/pkg/validation`, seen on
a 1.36. The schema's CEL rules are judged by `rules`, and only where nothing here is `BLOCKING`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.support.apiserver.failures import Cause, duplicate, invalid_value, not_supported, required, wrong_type
from tests.support.apiserver.kinds import Object, Schema

BLOCKING = frozenset(
    {
        "FieldValueRequired",
        "FieldValueTypeInvalid",
        "FieldValueNotSupported",
        "FieldValueTooLong",
        "FieldValueTooMany",
    }
)
"""Reasons that keep the CEL rules from being looked at."""

UNCHECKED = Cause(
    "FieldValueInvalid",
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)

_KINDS: dict[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    type(None): "null",
}
_DURATION = re.compile(r"[-+]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h))+)")


def judge(body: Object, schema: Schema) -> list[Cause]:
    """Everything that is wrong with an object, apart from its metadata."""
    properties = {name: item for name, item in schema.get("properties", {}).items() if name != "metadata"}
    return list(_object(body, {**schema, "properties": properties}, ""))


def _kind_of(value: Any) -> str:
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return _KINDS[type(value)]


def _judge(value: Any, schema: Schema, path: str) -> Iterator[Cause]:
    kind = _kind_of(value)
    if value is None and schema.get("nullable"):
        return
    wanted = ["integer", "string"] if schema.get("x-kubernetes-int-or-string") else [schema.get("type", kind)]
    if kind not in wanted and not (kind == "integer" and "number" in wanted):
        types = ",".join(wanted)
        yield wrong_type(path, kind, f'{path} in body must be of type {types}: "{kind}"')
        return
    if "enum" in schema and value not in schema["enum"]:
        yield not_supported(path, value, schema["enum"])
    if kind in ("integer", "number"):
        yield from _number(value, schema, path)
    elif kind == "string":
        yield from _string(value, schema, path)
    elif kind == "array":
        yield from _array(value, schema, path)
    elif kind == "object":
        yield from _object(value, schema, path)


def _number(value: float, schema: Schema, path: str) -> Iterator[Cause]:
    if schema.get("format") == "int32" and abs(value) >= 2**31:
        said = f'Invalid value: "": Checked value must be of type integer with format int32 in {path}'
        yield Cause("FieldValueInvalid", "<nil>", said)
    low, high, step = (schema.get(name) for name in ("minimum", "maximum", "multipleOf"))
    if step and (value / step) % 1:
        yield invalid_value(path, value, f"{path} in body should be a multiple of {step}")
    if high is not None and (value > high or (schema.get("exclusiveMaximum") and value == high)):
        bound = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield invalid_value(path, value, f"{path} in body should be {bound} {high}")
    if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
        bound = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield invalid_value(path, value, f"{path} in body should be {bound} {low}")


def _string(value: str, schema: Schema, path: str) -> Iterator[Cause]:
    most, least, pattern = (schema.get(name) for name in ("maxLength", "minLength", "pattern"))
    if most is not None and len(value) > most:
        yield Cause("FieldValueTooLong", path, f"Too long: may not be more than {most} bytes")
    if least is not None and len(value) < least:
        yield invalid_value(path, value, f"{path} in body should be at least {least} chars long")
    if pattern is not None and not re.search(pattern, value):
        yield invalid_value(path, value, f"{path} in body should match '{pattern}'")
    if not _has_format(value, schema.get("format")):
        yield wrong_type(path, value, f'{path} in body must be of type {schema["format"]}: "{value}"')


def _has_format(value: str, form: str | None) -> bool:
    if form == "duration":
        return bool(_DURATION.fullmatch(value))
    if form == "date-time":
        try:
            return "T" in value and datetime.fromisoformat(value).tzinfo is not None
        except ValueError:
            return False
    return True


def _too_many(path: str, count: int, most: int | None) -> Iterator[Cause]:
    if most is not None and count > most:
        yield Cause("FieldValueTooMany", path, f"Too many: {count}: must have at most {most} items")


def _array(value: list[Any], schema: Schema, path: str) -> Iterator[Cause]:
    least = schema.get("minItems")
    yield from _too_many(path, len(value), schema.get("maxItems"))
    if least is not None and len(value) < least:
        yield invalid_value(path, len(value), f"{path} in body should have at least {least} items")
    for index, item in enumerate(value):
        yield from _judge(item, schema.get("items", {}), f"{path}[{index}]")
    yield from _repeated(value, schema, path)


def _repeated(value: list[Any], schema: Schema, path: str) -> Iterator[Cause]:
    keys = schema.get("x-kubernetes-list-map-keys")
    if schema.get("x-kubernetes-list-type") not in ("map", "set"):
        return
    seen: list[Any] = []
    for index, item in enumerate(value):
        named = {key: item[key] for key in keys if key in item} if keys and isinstance(item, dict) else item
        if named in seen:
            yield duplicate(f"{path}[{index}]", named)
        seen.append(named)


def _object(value: Object, schema: Schema, path: str) -> Iterator[Cause]:
    prefix = f"{path}." if path else ""
    least = schema.get("minProperties")
    yield from _too_many(path, len(value), schema.get("maxProperties"))
    if least is not None and len(value) < least:
        yield invalid_value(path, len(value), f"{path} in body should have at least {least} properties")
    for name in schema.get("required", ()):
        if name not in value:
            yield required(f"{prefix}{name}")
    properties, more = schema.get("properties", {}), schema.get("additionalProperties")
    for name, item in value.items():
        if name in properties:
            yield from _judge(item, properties[name], f"{prefix}{name}")
        elif isinstance(more, dict):
            yield from _judge(item, more, f"{prefix}{name}")
