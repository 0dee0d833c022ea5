"""A schema's `x-kubernetes-validations`: which rule is asked about which part of an object, and how it says no.

`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel`. A rule that names `oldSelf` is asked on updates only, and
only about a part that can be told to be the same one: a field, or an item of a list with keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.apiserver.cel import Expression, RuleFailed
from tests.support.apiserver.failures import Cause
from tests.support.apiserver.kinds import Object, Schema
from tests.support.apiserver.ownership import element

_SAYS = {
    "FieldValueInvalid": "Invalid value: ",
    "FieldValueForbidden": "Forbidden: ",
    "FieldValueRequired": "Required value: ",
    "FieldValueDuplicate": "Duplicate value: ",
}
_METADATA: Schema = {"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}}


class Rule:
    """One entry of `x-kubernetes-validations`."""

    def __init__(self, entry: Mapping[str, Any], schema: Schema) -> None:
        self._rule = Expression(entry["rule"], schema)
        self._message = entry.get("message") or f"failed rule: {self._rule.text}"
        self._worded = Expression(entry["messageExpression"], schema) if "messageExpression" in entry else None
        self._reason = entry.get("reason", "FieldValueInvalid")
        self._path = entry.get("fieldPath", "")
        self._kind = schema.get("type", "object")
        self.is_transition = self._rule.uses_old

    def ask(self, value: Any, old: Any, path: str) -> Cause | None:
        try:
            if self._rule.evaluate(value, old) is True:
                return None
        except RuleFailed as error:
            said = f'Invalid value: "{self._kind}": {error} evaluating rule: {self._rule.text}'
            return Cause("FieldValueInvalid", path or "<nil>", said)
        message = self._message
        if self._worded:
            try:
                message = str(self._worded.evaluate(value, old))
            except RuleFailed:
                message = self._message
        shows = self._reason == "FieldValueInvalid" and not isinstance(value, dict | list)
        says = _SAYS[self._reason] + (f"{json.dumps(value)}: " if shows else "")
        return Cause(self._reason, (path + self._path).lstrip(".") or "<nil>", says + message)


class Rulebook:
    """The rules of one schema node and of all below it."""

    def __init__(self, schema: Schema, *, is_root: bool = False) -> None:
        if is_root:
            words = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _METADATA}
            schema = {**schema, "properties": {**schema.get("properties", {}), **words}}
        self._schema = schema
        self._is_root = is_root
        self._rules = [Rule(entry, schema) for entry in schema.get("x-kubernetes-validations", ())]
        below = {name: Rulebook(item) for name, item in schema.get("properties", {}).items()}
        self._properties = {name: book for name, book in below.items() if book}
        items, more = schema.get("items"), schema.get("additionalProperties")
        self._items = Rulebook(items) if items else None
        self._more = Rulebook(more) if isinstance(more, Mapping) else None

    def __bool__(self) -> bool:
        return bool(self._rules or self._properties or self._items or self._more)

    def judge(self, value: Any, old: Any, path: str = "") -> Iterator[Cause]:
        """What the rules have against `value`, which was `old` before (None on creation)."""
        for rule in self._rules:
            if rule.is_transition and old is None:
                continue
            cause = rule.ask(self._seen(value), None if old is None else self._seen(old), path)
            if cause:
                yield cause
        if isinstance(value, dict):
            yield from self._fields(value, old if isinstance(old, dict) else {}, path)
        elif isinstance(value, list) and self._items:
            before = self._correlated(old)
            for index, item in enumerate(value):
                yield from self._items.judge(item, before.get(element(item, self._schema)), f"{path}[{index}]")

    def _fields(self, value: Object, old: Object, path: str) -> Iterator[Cause]:
        prefix = f"{path}." if path else ""
        for name, book in self._properties.items():
            if value.get(name) is not None:
                yield from book.judge(value[name], old.get(name), f"{prefix}{name}")
        if self._more:
            for name, item in value.items():
                yield from self._more.judge(item, old.get(name), f"{prefix}{name}")

    def _correlated(self, old: Any) -> dict[str, Any]:
        if not isinstance(old, list) or self._schema.get("x-kubernetes-list-type") != "map":
            return {}
        return {element(item, self._schema): item for item in old}

    def _seen(self, value: Any) -> Any:
        """What a rule may look at: of the root's metadata only the names, and only fields the schema has."""
        if not self._is_root:
            return value
        metadata = {name: value["metadata"][name] for name in ("name", "generateName") if name in value["metadata"]}
        return {**value, "metadata": metadata}
