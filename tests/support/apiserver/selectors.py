"""Label and field selectors: parsed once a request, then a test of one object each.

Grammar: `k8s.io/apimachinery/pkg/labels` and `.../fields`; which fields there are is each kind's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.apiserver.failures import bad_request
from tests.support.apiserver.kinds import Object, Resource, dig

Test = Callable[[Object], bool]

_IN = re.compile(r"(?P<key>[^\s=!,()]+)\s+(?P<not>not)?in\s*\((?P<values>[^()]*)\)")
_EQUALS = re.compile(r"(?P<key>[^\s=!,()]+)\s*(?P<sign>==|=|!=)\s*(?P<value>[^\s=!,()]*)")
_EXISTS = re.compile(r"(?P<not>!)?\s*(?P<key>[^\s=!,()]+)")

_FIELDS: dict[str, frozenset[str]] = {
    "pods": frozenset({"spec.nodeName", "status.phase", "spec.restartPolicy", "spec.serviceAccountName"}),
    "events": frozenset(
        f"involvedObject.{name}"
        for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    )
    | {"reason", "type", "source", "reportingComponent"},
    "secrets": frozenset({"type"}),
    "namespaces": frozenset({"status.phase"}),
}
Requirement = Callable[[Mapping[str, str]], bool]


def labels(text: str) -> Requirement | None:
    """A label selector as a test of labels, None where it selects everything. Raises a 400 `Failure`."""
    if not text.strip():
        return None
    parts = re.findall(r"[^,(]*\([^)]*\)|[^,]+", text)
    tests = [_requirement(part.strip()) for part in parts]
    return lambda found: all(test(found) for test in tests)


def _requirement(text: str) -> Requirement:
    if match := _IN.fullmatch(text):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["not"]:
            return lambda found: found.get(key) not in values
        return lambda found: found.get(key) in values
    if match := _EQUALS.fullmatch(text):
        key, value = match["key"], match["value"]
        if match["sign"] == "!=":
            return lambda found: found.get(key) != value
        return lambda found: found.get(key) == value
    if match := _EXISTS.fullmatch(text):
        key, absent = match["key"], bool(match["not"])
        return lambda found: (key in found) is not absent
    raise bad_request(f"unable to parse requirement: {text}")


def matches(selector: Mapping[str, Any], found: Mapping[str, str]) -> bool:
    """Whether labels match a LabelSelector, with its matchLabels and matchExpressions."""
    if any(found.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", ()):
        key, values = expression["key"], expression.get("values", ())
        holds = {
            "In": found.get(key) in values,
            "NotIn": found.get(key) not in values,
            "Exists": key in found,
            "DoesNotExist": key not in found,
        }
        if not holds[expression["operator"]]:
            return False
    return True


def select(resource: Resource, label_text: str, field_text: str) -> Test | None:
    """Both selectors as one test of an object, None where they select everything. Raises a 400 `Failure`."""
    wanted, fields = labels(label_text), _fields(resource, field_text)
    if wanted is None and not fields:
        return None

    def test(body: Object) -> bool:
        if wanted is not None and not wanted(body["metadata"].get("labels", {})):
            return False
        return all((str(dig(body, path, "")) == value) is equal for path, value, equal in fields)

    return test


def _fields(resource: Resource, text: str) -> list[tuple[tuple[str, ...], str, bool]]:
    known = _FIELDS.get(resource.key, frozenset()) | {"metadata.name", "metadata.namespace"}
    found = []
    for part in filter(None, text.split(",")):
        name, sign, value = re.fullmatch(r"([^=!]*)(==|=|!=)?(.*)", part).groups()  # type: ignore[union-attr]
        if not sign:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        if name not in known:
            raise bad_request(f"field label not supported: {name}")
        found.append((tuple(name.split(".")), value, sign != "!="))
    return found
