"""The `scale` subresource: three numbers and words of an object, read and written as `autoscaling/v1` Scale."""

from __future__ import annotations

from typing import Any

from tests.support.apiserver import failures
from tests.support.apiserver.kinds import Object, Resource, clone, dig
from tests.support.apiserver.store import Record

SCALE = Resource("autoscaling", "v1", "scales", "Scale")


def read(resource: Resource, record: Record, *, may_be_absent: bool = False) -> Object:
    """An object's scale. Raises a 500 `Failure` where a custom one has no replicas, as the real server does."""
    paths, body = resource.scale, record.object
    assert paths is not None
    replicas = dig(body, paths.spec_replicas)
    if replicas is None and not may_be_absent:
        field = "." + ".".join(paths.spec_replicas)
        said = f'the spec replicas field "{field}" does not exist'
        details = {"causes": [{"message": said}]}
        raise failures.Failure(500, "InternalError", f"Internal error occurred: {said}", details)
    status: Object = {"replicas": dig(body, paths.status_replicas, 0)}
    if paths.selector:
        selector = _worded(dig(body, paths.selector, ""))
        if selector:
            status["selector"] = selector
    metadata = body["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def written(resource: Resource, record: Record, scale: Object) -> Object:
    """The object with the replicas that a scale asks for. Raises a 422 `Failure` for fewer than none."""
    paths = resource.scale
    assert paths is not None
    replicas = dig(scale, ("spec", "replicas"), 0)
    name = record.object["metadata"]["name"]
    if not isinstance(replicas, int):
        raise failures.bad_request(f"json: cannot unmarshal {replicas!r} into Go struct field .spec.replicas of int32")
    if replicas < 0:
        if resource.is_custom:
            field = "." + ".".join(paths.spec_replicas)
            cause = failures.invalid_value(field, replicas, "should be a non-negative integer")
            raise failures.invalid(resource, name, [cause])
        cause = failures.invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
        raise failures.invalid(SCALE, name, [cause])
    body: Object = clone(record.object)
    node = body
    for part in paths.spec_replicas[:-1]:
        node = node.setdefault(part, {})
    node[paths.spec_replicas[-1]] = replicas
    version = dig(scale, ("metadata", "resourceVersion"))
    if version:
        body["metadata"]["resourceVersion"] = version
    return body


def _worded(selector: Any) -> str:
    """A LabelSelector in the words of a query; a custom resource keeps it in words already."""
    if not isinstance(selector, dict):
        return str(selector)
    parts = [f"{key}={value}" for key, value in sorted(selector.get("matchLabels", {}).items())]
    for expression in selector.get("matchExpressions", ()):
        key, values = expression["key"], ",".join(expression.get("values", ()))
        said = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(said.get(expression["operator"], f"!{key}"))
    return ",".join(parts)
