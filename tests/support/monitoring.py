"""The Prometheus operator's kinds, as far as the chart uses them: what a field is called, and of which type it is.

From the API reference of monitoring.coreos.com/v1 (prometheus-operator.dev/docs/api-reference/api). A field that is not
here is refused, so a new one is looked up before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema

GROUP = "monitoring.coreos.com/"

_TEXT = {"type": "string"}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_DURATION = {
    "type": "string",
    "pattern": r"^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$",
}


def _fields(required: str = "", /, **fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": required.split(), "additionalProperties": False}


def _list(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


_REQUIREMENT = _fields(
    "key operator", key=_TEXT, operator={"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}, values=_list(_TEXT)
)
_SELECTOR = _fields(matchLabels=_TEXTS, matchExpressions=_list(_REQUIREMENT))
_NAMESPACES = _fields(any={"type": "boolean"}, matchNames=_list(_TEXT))
_RELABELING = _fields(sourceLabels=_list(_TEXT), targetLabel=_TEXT, regex=_TEXT, replacement=_TEXT, action=_TEXT)
_ENDPOINT = {"port": _TEXT, "path": _TEXT, "interval": _DURATION, "honorLabels": {"type": "boolean"}}
_ENDPOINT |= {"relabelings": _list(_RELABELING)}
_RULE = _fields("expr", alert=_TEXT, expr=_TEXT, **{"for": _DURATION}, labels=_TEXTS, annotations=_TEXTS)
_GROUP = _fields("name rules", name=_TEXT, interval=_DURATION, rules=_list(_RULE))

_SPECS = {
    "PrometheusRule": _fields("groups", groups=_list(_GROUP)),
    "ServiceMonitor": _fields(
        "selector endpoints", selector=_SELECTOR, namespaceSelector=_NAMESPACES, endpoints=_list(_fields(**_ENDPOINT))
    ),
    "PodMonitor": _fields(
        "selector podMetricsEndpoints",
        selector=_SELECTOR,
        namespaceSelector=_NAMESPACES,
        podMetricsEndpoints=_list(_fields(**_ENDPOINT)),
    ),
}


def check(rendered: Mapping[str, Any]) -> None:
    """Raises ValueError where an object has a field that its kind has not, a wrong type, or lacks a required field."""
    metadata = _fields("name", name=_TEXT, namespace=_TEXT, labels=_TEXTS, annotations=_TEXTS)
    version = {"const": f"{GROUP}v1"}
    whole = _fields("metadata spec", apiVersion=version, kind=_TEXT, metadata=metadata, spec=_SPECS[rendered["kind"]])
    try:
        jsonschema.validate(rendered, whole)
    except jsonschema.ValidationError as error:
        raise ValueError(f"{rendered['kind']}: {error.json_path}: {error.message}") from error
