"""A list of custom resources as kubectl wants to print it: the printer columns of their CRD, filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.support.apiserver.kinds import Object, Resource
from tests.support.apiserver.store import Record

_FILTER = re.compile(r"\[\?\(@\.(\w+)\s*==\s*[\"']([^\"']*)[\"']\)\]")


def as_table(resource: Resource, records: Sequence[Record], now: str, metadata: Object | None = None) -> Object:
    name = {"name": "Name", "type": "string", "format": "name", "priority": 0}
    columns = [
        {
            "name": it["name"],
            "type": it["type"],
            "format": it.get("format", ""),
            "description": it.get("description", ""),
            "priority": it.get("priority", 0),
        }
        for it in resource.columns
    ]
    rows = [
        {
            "cells": [record.object["metadata"]["name"], *(_cell(it, record.object, now) for it in resource.columns)],
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": record.object["metadata"],
            },
        }
        for record in records
    ]
    definitions = [name, *columns]
    table = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata or {}}
    return {**table, "columnDefinitions": definitions, "rows": rows}


def _cell(column: Mapping[str, Any], body: Object, now: str) -> Any:
    found = _look_up(body, column["jsonPath"])
    if found and column["type"] == "date":
        return _age(datetime.fromisoformat(now) - datetime.fromisoformat(found)) if isinstance(found, str) else None
    return found


def _look_up(body: Any, path: str) -> Any:
    """What a JSON path leads to, in the few forms that printer columns use: `.a.b` and `.c[?(@.type=="x")].status`."""
    for part in filter(None, re.split(r"\.(?![^\[]*\])", path)):
        name, _, rest = part.partition("[")
        body = body.get(name) if isinstance(body, dict) else None
        if match := _FILTER.fullmatch(f"[{rest}"):
            body = next((it for it in body or () if it.get(match[1]) == match[2]), None)
    return body


def _age(span: Any) -> str:
    """As `k8s.io/apimachinery/pkg/util/duration.HumanDuration`, coarsely."""
    seconds = int(span.total_seconds())
    for unit, size, least in (("d", 86400, 2 * 86400), ("h", 3600, 3 * 3600), ("m", 60, 120)):
        if seconds >= least:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
