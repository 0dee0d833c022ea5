"""Server-side apply: merges what a manager wants into what is there, and takes out what it no longer wants.

`sigs.k8s.io/structured-merge-diff/v6/merge`: a field that another manager owns with another value is a conflict
unless forced; a field the manager owned, wants no more and shares with nobody is removed.
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.apiserver.failures import Failure
from tests.support.apiserver.kinds import Object, Schema, clone
from tests.support.apiserver.ownership import Manager, Owners, Path, child, element, fields, is_atomic


def apply(
    live: Object, owners: Owners, wanted: Object, schema: Schema, manager: Manager, *, force: bool
) -> tuple[Object, Owners]:
    """The merged object and its owners. Raises a 409 `Failure` that names every conflict."""
    mine, there = fields(wanted, schema), fields(live, schema)
    missing = object()
    differing = {path for path, value in mine.items() if there.get(path, missing) != value}
    contested = {other: paths & differing for other, paths in owners.items() if other != manager and paths & differing}
    if contested and not force:
        raise _conflict(contested, live["apiVersion"])
    kept = {other: paths - contested.get(other, frozenset()) for other, paths in owners.items() if other != manager}
    merged = _merge(live, wanted, schema)
    dropped = owners.get(manager, frozenset()) - mine.keys()
    for path in sorted(dropped, key=len):
        if not any(path in paths or _has_below(path, paths) for paths in kept.values()):
            _remove(merged, path, schema)
    result = {other: paths for other, paths in kept.items() if paths}
    if mine:
        result[manager] = frozenset(mine)
    return merged, result


def _has_below(path: Path, paths: frozenset[Path]) -> bool:
    return path[-1].startswith(("k:", "v:")) and any(other[: len(path)] == path for other in paths)


def _merge(live: Any, wanted: Any, schema: Schema) -> Any:
    if type(live) is not type(wanted) or is_atomic(wanted, schema):
        return clone(wanted)
    if isinstance(wanted, dict):
        result = clone(live)
        for name, value in wanted.items():
            result[name] = _merge(live.get(name), value, child(schema, name))
        return result
    items = {element(item, schema): item for item in clone(live)}
    for item in wanted:
        at = element(item, schema)
        items[at] = _merge(items.get(at), item, schema.get("items", {}))
    return list(items.values())


def _remove(body: Any, path: Path, schema: Schema) -> None:
    """Take one path out of an object, with every map that this leaves empty."""
    head, rest = path[0], path[1:]
    if head.startswith("f:"):
        name = head[2:]
        if not isinstance(body, dict) or name not in body:
            return
        if not rest:
            del body[name]
            return
        _remove(body[name], rest, child(schema, name))
        if body[name] in ({}, []):
            del body[name]
    elif isinstance(body, list):
        for item in body:
            if element(item, schema) == head:
                # An item that stays keeps its keys, whoever owned them.
                if rest and rest[0][2:] not in schema.get("x-kubernetes-list-map-keys", ()):
                    _remove(item, rest, schema.get("items", {}))
                elif not rest:
                    body.remove(item)
                return


def _conflict(contested: dict[Manager, frozenset[Path]], api_version: str) -> Failure:
    causes, parts = [], []
    for manager, paths in sorted(contested.items()):
        by = f'"{manager.name}"' + (f' with subresource "{manager.subresource}"' if manager.subresource else "")
        by += f" using {api_version}" if manager.operation == "Update" else ""
        named = sorted(_dotted(path) for path in paths)
        causes += [{"reason": "FieldManagerConflict", "message": f"conflict with {by}", "field": it} for it in named]
        listed = f" {named[0]}" if len(named) == 1 else "".join(f"\n- {it}" for it in named)
        parts.append(f"conflict{'s' if len(named) > 1 else ''} with {by}:{listed}")
    count = f"{len(causes)} conflict{'s' if len(causes) > 1 else ''}"
    return Failure(409, "Conflict", f"Apply failed with {count}: " + "\n".join(parts), {"causes": causes})


def _dotted(path: Path) -> str:
    """A path as people write it: `.spec.template.spec.containers[name="worker"].image`."""
    words = []
    for part in path:
        kind, _, name = part.partition(":")
        words.append(f".{name}" if kind == "f" else f"[{_keys(name)}]" if kind == "k" else f"[={name}]")
    return "".join(words)


def _keys(text: str) -> str:
    return ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(text).items())
