"""Who owns which field: the sets behind `managedFields`, and the diff that tells what a write has changed.

A path is a tuple of FieldsV1 elements: `f:name` for a field, `k:{...}` for an item of a list with keys, `v:...` for
a member of a set. Format: `sigs.k8s.io/structured-merge-diff/v6/fieldpath`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.support.apiserver.kinds import Object, Schema

Path = tuple[str, ...]


class Manager(NamedTuple):
    """Who wrote: the name, `Apply` or `Update`, and the subresource written to."""

    name: str
    operation: str
    subresource: str = ""


Owners = dict[Manager, frozenset[Path]]

UNOWNED_METADATA = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    }
)


def child(schema: Schema, name: str) -> Schema:
    properties = schema.get("properties")
    if properties and name in properties:
        found: Schema = properties[name]
        return found
    more = schema.get("additionalProperties")
    return more if isinstance(more, Mapping) else {}


def is_atomic(value: Any, schema: Schema) -> bool:
    if isinstance(value, dict):
        return schema.get("x-kubernetes-map-type") == "atomic"
    return not isinstance(value, list) or schema.get("x-kubernetes-list-type", "atomic") == "atomic"


def element(item: Any, schema: Schema) -> str:
    """The path element that tells one item of a list from the others."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys and isinstance(item, dict):
        properties = schema.get("items", {}).get("properties", {})
        named = {key: item.get(key, properties.get(key, {}).get("default")) for key in sorted(keys)}
        return "k:" + json.dumps(named, separators=(",", ":"))
    return "v:" + json.dumps(item, separators=(",", ":"))


def fields(body: Object, schema: Schema) -> dict[Path, Any]:
    """Every path of an object that can have an owner, with the value there (None for an item of a list)."""
    found: dict[Path, Any] = {}
    for name, value in body.items():
        if name == "metadata":
            for key, item in value.items():
                if key not in UNOWNED_METADATA:
                    _walk(item, child(child(schema, "metadata"), key), ("f:metadata", f"f:{key}"), found)
        elif name not in ("apiVersion", "kind"):
            _walk(value, child(schema, name), (f"f:{name}",), found)
    return found


def _walk(value: Any, schema: Schema, path: Path, found: dict[Path, Any]) -> None:
    if not value or is_atomic(value, schema):
        found[path] = value
    elif isinstance(value, dict):
        for name, item in value.items():
            _walk(item, child(schema, name), (*path, f"f:{name}"), found)
    else:
        for item in value:
            at = (*path, element(item, schema))
            found[at] = None
            if isinstance(item, dict):
                _walk(item, schema.get("items", {}), at, found)


def changed(before: Mapping[Path, Any], after: Mapping[Path, Any]) -> set[Path]:
    """The paths that are new or have another value."""
    missing = object()
    return {path for path, value in after.items() if before.get(path, missing) != value}


def record_update(owners: Owners, manager: Manager, before: Mapping[Path, Any], after: Mapping[Path, Any]) -> Owners:
    """The owners after a plain write: what it changed is the writer's alone, what it removed is nobody's."""
    mine = changed(before, after)
    result: Owners = {}
    for other, paths in owners.items():
        left = frozenset(path for path in paths if path in after and (other == manager or path not in mine))
        if left:
            result[other] = left
    if mine or manager in result:
        result[manager] = result.get(manager, frozenset()) | mine
    return result


def render(owners: Owners, times: Mapping[Manager, str], api_version: str) -> list[Object]:
    """`metadata.managedFields`."""
    return [
        {
            "apiVersion": api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": _tree(paths),
            "manager": manager.name,
            "operation": manager.operation,
            **({"subresource": manager.subresource} if manager.subresource else {}),
            "time": times.get(manager, ""),
        }
        for manager, paths in sorted(owners.items())
    ]


def _tree(paths: frozenset[Path]) -> Object:
    root: Object = {}
    for path in sorted(paths):
        node = root
        for part in path:
            node = node.setdefault(part, {})
        if path[-1].startswith(("k:", "v:")):
            node.setdefault(".", {})
    return root
