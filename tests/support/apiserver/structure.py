"""What a structural schema does to an object before anything judges it: prune what it does not name, fill in defaults.

`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/{pruning,defaulting}`. Both work in place.
"""

from __future__ import annotations

from typing import Any

from tests.support.apiserver.kinds import Object, Schema, clone

PRESERVE = "x-kubernetes-preserve-unknown-fields"
_ROOT = frozenset({"apiVersion", "kind", "metadata"})


def prune(body: Object, schema: Schema) -> list[str]:
    """Remove every field the schema does not know; gives their paths."""
    gone: list[str] = []
    if not schema.get(PRESERVE):
        for name in [name for name in body if name not in _ROOT and name not in schema.get("properties", {})]:
            del body[name]
            gone.append(name)
    for name, item in schema.get("properties", {}).items():
        if name in body and name not in _ROOT:
            _prune(body[name], item, name, gone)
    return gone


def _prune(value: Any, schema: Schema, path: str, gone: list[str]) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _prune(item, schema.get("items", {}), f"{path}[{index}]", gone)
    elif isinstance(value, dict):
        properties = schema.get("properties", {})
        more = schema.get("additionalProperties")
        keeps = schema.get(PRESERVE) or more is True or schema.get("x-kubernetes-embedded-resource")
        for name in list(value):
            if name in properties:
                _prune(value[name], properties[name], f"{path}.{name}", gone)
            elif isinstance(more, dict):
                _prune(value[name], more, f"{path}.{name}", gone)
            elif not keeps:
                del value[name]
                gone.append(f"{path}.{name}")


def drop_nulls(value: Any, schema: Schema) -> None:
    """Leave out every null that the schema does not allow, as the server does before it sets defaults."""
    if isinstance(value, list):
        for item in value:
            drop_nulls(item, schema.get("items", {}))
    elif isinstance(value, dict):
        for name, item in schema.get("properties", {}).items():
            if name not in value:
                continue
            if value[name] is None and not item.get("nullable"):
                del value[name]
            else:
                drop_nulls(value[name], item)


def fill(value: Any, schema: Schema) -> None:
    """Set the defaults of fields that are absent from objects that are there."""
    if isinstance(value, list):
        for item in value if "items" in schema else ():
            fill(item, schema["items"])
    elif isinstance(value, dict):
        properties, more = schema.get("properties", {}), schema.get("additionalProperties")
        for name, item in properties.items():
            if "default" in item:
                value.setdefault(name, clone(item["default"]))
            if name in value:
                fill(value[name], item)
        if isinstance(more, dict):
            for name in value.keys() - properties.keys():
                fill(value[name], more)
