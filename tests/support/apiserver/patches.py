"""The three plain patches: merge (RFC 7396), JSON (RFC 6902, by the library jsonpatch) and Kubernetes' strategic merge.

All give a new object and leave the old one alone. Server-side apply is in `apply`.
"""

from __future__ import annotations

from typing import Any

import jsonpatch
import jsonpointer
from tests.support.apiserver.failures import Failure, bad_request
from tests.support.apiserver.kinds import Object, Schema, clone
from tests.support.apiserver.ownership import child, element

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def patch(live: Object, change: Any, media_type: str, schema: Schema) -> Object:
    """The object that a patch makes of `live`. Raises a 400 or 422 `Failure`."""
    if media_type == JSON:
        return _json(live, change)
    if not isinstance(change, dict):
        raise bad_request("the body of the request was in an unknown format - the patch must be an object")
    result: Object = _strategic(live, change, schema) if media_type == STRATEGIC else _merge(live, change)
    return result


def _merge(live: Any, change: Any) -> Any:
    if not isinstance(change, dict):
        return clone(change)
    result = clone(live) if isinstance(live, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge(result.get(name), value)
    return result


def _json(live: Object, change: Any) -> Object:
    if not isinstance(change, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    try:
        result: Object = jsonpatch.JsonPatch(change).apply(live)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise Failure(422, "Invalid", "the server rejected our request due to an error in our request", {}) from error
    return result


def _strategic(live: Any, change: Any, schema: Schema) -> Any:
    """As a merge patch, but lists with keys or set semantics are merged item by item."""
    if isinstance(change, list):
        return _strategic_list(live, change, schema)
    if not isinstance(change, dict):
        return clone(change)
    if change.get("$patch") == "replace" or not isinstance(live, dict):
        live = {}
    result = clone(live)
    for name, value in change.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            result[field] = [item for item in result.get(field, ()) if item not in value]
        elif name.startswith("$"):
            continue
        elif value is None:
            result.pop(name, None)
        else:
            result[name] = _strategic(result.get(name), value, child(schema, name))
    return result


def _strategic_list(live: Any, change: list[Any], schema: Schema) -> list[Any]:
    kind = schema.get("x-kubernetes-list-type")
    old = clone(live) if isinstance(live, list) else []
    if kind == "set":
        return [*old, *(clone(item) for item in change if item not in old)]
    if kind != "map" or {"$patch": "replace"} in change:
        return [clone(item) for item in change if item != {"$patch": "replace"}]
    merged = {element(item, schema): item for item in old}
    items = schema.get("items", {})
    for item in change:
        at = element(item, schema)
        if item.get("$patch") == "delete":
            merged.pop(at, None)
        else:
            merged[at] = _strategic(merged.get(at), item, items)
    return list(merged.values())
