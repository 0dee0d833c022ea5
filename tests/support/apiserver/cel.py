"""One CEL rule of a schema: compiled once, and asked only once about the same values.

The language is cel-python's; of the functions that Kubernetes adds to it only those in `FUNCTIONS` are there.
Values become CEL values by their schema, as in `k8s.io/apiserver/pkg/cel/common`: a `number` is a double, a string
with `format: duration` a duration, and names are escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

import celpy
from celpy import celtypes
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError
from tests.support.apiserver.kinds import Schema

_WORDS = """true false null in as break const continue else for function if import let loop package namespace
return var void while"""
_RESERVED = frozenset(_WORDS.split())

FUNCTIONS: dict[str, Any] = {
    "lowerAscii": lambda text: celtypes.StringType(text.lower()),
    "upperAscii": lambda text: celtypes.StringType(text.upper()),
    "trim": lambda text: celtypes.StringType(text.strip()),
    "split": lambda text, by: celtypes.ListType(celtypes.StringType(part) for part in text.split(by)),
    "join": lambda parts, by="": celtypes.StringType(by.join(parts)),
    "replace": lambda text, old, new: celtypes.StringType(text.replace(old, new)),
    "indexOf": lambda text, part: celtypes.IntType(text.find(part)),
    "substring": lambda text, start, end=None: celtypes.StringType(text[start:end]),
}


class RuleFailed(Exception):
    """A rule could not be evaluated, in CEL's own words."""


@cache
def _environment() -> celpy.Environment:
    return celpy.Environment()


@cache
def _program(text: str) -> celpy.Runner:
    """A rule's text, compiled once for all servers of a test run."""
    return _environment().program(_environment().compile(text), functions=FUNCTIONS)


def escape(name: str) -> str:
    """A property's name as a CEL identifier."""
    if name in _RESERVED:
        return f"__{name}__"
    for sign, word in (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")):
        name = name.replace(sign, word)
    return name


def to_cel(value: Any, schema: Schema) -> Any:
    if isinstance(value, dict):
        properties, more = schema.get("properties", {}), schema.get("additionalProperties")
        if isinstance(more, Mapping):
            pairs = {celtypes.StringType(name): to_cel(item, more) for name, item in value.items()}
        else:
            pairs = {celtypes.StringType(escape(n)): to_cel(item, properties.get(n, {})) for n, item in value.items()}
        return celtypes.MapType(pairs)
    if isinstance(value, list):
        return celtypes.ListType(to_cel(item, schema.get("items", {})) for item in value)
    if isinstance(value, str) and schema.get("format") == "duration":
        return celtypes.DurationType(value)
    if isinstance(value, str) and schema.get("format") == "date-time":
        return celtypes.TimestampType(value)
    if schema.get("type") == "number":
        return celtypes.DoubleType(value)
    return json_to_cel(value)


class Expression:
    """A compiled CEL expression over `self` and `oldSelf`. Raises `celpy.CELParseError` on a syntax error."""

    def __init__(self, text: str, schema: Schema) -> None:
        self.text = " ".join(text.split())
        self._schema = schema
        self.uses_old = re.search(r"\boldSelf\b", text) is not None
        self._program = _program(text)
        self._paths = _paths(text)
        self._ask = lru_cache(maxsize=65536)(self._evaluate)

    def evaluate(self, value: Any, old: Any = None) -> Any:
        """The expression's value, as Python has it. Raises `RuleFailed`."""
        seen = json.dumps(self._part(value))
        return self._ask(seen, json.dumps(self._part(old)) if self.uses_old else "null")

    def _part(self, value: Any) -> Any:
        """What the rule looks at: so that a change elsewhere does not make it evaluate again."""
        if self._paths is None or not isinstance(value, dict):
            return value
        part: dict[str, Any] = {}
        for path in self._paths:
            _copy(value, part, path)
        return part

    def _evaluate(self, value: str, old: str) -> Any:
        context = {"self": to_cel(json.loads(value), self._schema)}
        if self.uses_old:
            context["oldSelf"] = to_cel(json.loads(old), self._schema)
        try:
            result = self._program.evaluate(context)
        except CELEvalError as error:
            raise RuleFailed(_told(error)) from error
        return bool(result) if isinstance(result, celtypes.BoolType) else result


def _paths(text: str) -> list[list[str]] | None:
    """The fields that an expression reads of `self` and `oldSelf`, None where it takes one of them as a whole."""
    found = re.findall(r"\b(?:self|oldSelf)\b((?:\.\w+)*)(\()?", text)
    paths = [path.split(".")[1 : -1 if call else None] for path, call in found]
    return paths if all(paths) and "__" not in text else None


def _copy(value: dict[str, Any], part: dict[str, Any], path: list[str]) -> None:
    for index, name in enumerate(path):
        if name not in value:
            return
        value = value[name]
        if index == len(path) - 1 or not isinstance(value, dict):
            part[name] = value
            return
        # A longer path adds to what another has brought, and never changes the object itself.
        part[name] = dict(part.get(name, {}))
        part = part[name]


def _told(error: CELEvalError) -> str:
    """The error in cel-go's words for the one kind that schemas meet, a field that is absent."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyError):
            return f"no such key: {cause.args[0]}"
        cause = cause.__cause__
    text = str(error.args[0])
    missing = re.search(r"no such (?:member|key)[^:]*: '?([\w]+)", text)
    return f"no such key: {missing[1]}" if missing else text
