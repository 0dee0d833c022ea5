"""pydantic's errors in the words of a WorkerPool's user: path, value, what is allowed.

The kinds of error and their `ctx` are pydantic's: https://docs.pydantic.dev/latest/errors/validation_errors/.
A value that may be or hold a secret is never shown: all of `spec.redis` but its namespace, `spec.template`, objects,
unknown fields.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from crewcall_operator.api import schema
from crewcall_operator.api.names import OBJECT_NAME
from crewcall_operator.errors import Problem

DOCUMENT: Final = "the document"
"""The path of a problem with the whole."""

_WORDS: Final[Mapping[str, str]] = {
    "missing": "is required",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be a string",
    "string_unicode": "must be valid text",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "invalid_key": "must have a string for a name",
    "greater_than_equal": "must be at least {ge:,.10g}",
    "less_than_equal": "must be at most {le:,.10g}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least one item",
    "too_long": "must have at most {max_length} items, has {actual_length}",
    "enum": "must be one of {expected}",
    "literal_error": "must be {expected}",
}

_SECRETIVE: Final = ("spec.redis", "spec.template")

_KINDS: Final[Mapping[type, str]] = {NoneType: "empty", dict: "an object", list: "a list"}

_PATTERNS: Final[Mapping[str, str]] = {
    schema.QUEUE_NAME: "must start with a letter or _ and go on with letters, digits, '.', '_' and '-'",
    schema.REDIS_URL: "must be redis://[user:password@]host[:port][/database], the same with rediss://, "
    "or unix:///path; percent-encode '/', '?' and '#' in a password; a port is 1 to 65535. Options: ?db=1, "
    "?ssl_cert_reqs=none, optional or required, ?ssl_check_hostname=true or false",
    OBJECT_NAME: "must be lower-case letters, digits, '-' and '.', with a letter or digit at either end",
    schema.ADDRESS: "must be host:port, the port 1 to 65535",
    schema.CRON: 'must be five cron fields, such as "0 8 * * 1-5"',
}


def problem(error: ErrorDetails) -> Problem:
    """One of pydantic's errors as a Problem."""
    path = _path(error["loc"])
    if error["type"] == "extra_forbidden":
        return Problem(path, None, _unknown(error["loc"]))
    return Problem(path, _shown(path, error), _allowed(error))


def _path(loc: Sequence[int | str]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc if step != "[key]")
    return "".join(steps).removeprefix(".") or DOCUMENT


def _shown(path: str, error: ErrorDetails) -> object:
    value = error["input"]
    is_secret = path.startswith(_SECRETIVE) and path != "spec.redis.namespace"
    is_plain = isinstance(value, str | int | float) and error["type"] != "missing"
    return value if is_plain and not is_secret else None


def _allowed(error: ErrorDetails) -> str:
    kind, ctx = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return _PATTERNS[ctx["pattern"]]
    if kind not in _WORDS:
        return error["msg"]
    words = _WORDS[kind].format(**ctx)
    is_of_wrong_type = kind.endswith("_type") and type(error["input"]) in _KINDS
    return f"{words}, not {_KINDS[type(error['input'])]}" if is_of_wrong_type else words


def _unknown(loc: Sequence[int | str]) -> str:
    known = [field.alias or name for name, field in _model_at(loc[:-1]).model_fields.items()]
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    hint = f'did you mean "{close[0]}"?' if close else f"known here: {', '.join(known)}"
    return f"is not a known field; {hint}"


def _model_at(loc: Sequence[int | str]) -> type[BaseModel]:
    model: type[BaseModel] = schema.Resource
    for step in loc:
        annotations = [field.annotation for field in model.model_fields.values() if field.alias == step]
        model = next((found for annotation in annotations for found in _models(annotation)), model)
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
