"""From a request's path and method to what it means: which resource, which object, which verb."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.apiserver.access import Attributes
from tests.support.apiserver.catalog import Catalog
from tests.support.apiserver.failures import Failure, method_not_allowed
from tests.support.apiserver.kinds import Resource

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about. A `namespace` of "" is all of them, or none where the resource has none."""

    resource: Resource
    namespace: str
    name: str
    subresource: str
    verb: str

    def attributes(self, query: Mapping[str, str]) -> Attributes:
        """What is asked for. Who lists or watches one object by its name, asks for that one
        (`k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`)."""
        plural = f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural
        selected = re.fullmatch(r"metadata\.name==?([^,=]+)", query.get("fieldSelector", ""))
        name = self.name or (selected[1] if selected else "")
        return Attributes(self.verb, self.resource.group, plural, name, self.namespace)


def find(catalog: Catalog, method: str, path: str, query: Mapping[str, str]) -> Target | None:
    """The target of a request, None where the path names no resource. Raises a 405 `Failure`."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and not (group == "" and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    resource = catalog.find(group, version, rest[0])
    if resource is None or len(rest) > 3:
        return None
    name, subresource = [*rest[1:], "", ""][:2]
    if subresource and not _has(resource, subresource):
        return None
    if not resource.namespaced and namespace:
        return None
    return Target(resource, namespace, name, subresource, _verb(method, name, query))


def _has(resource: Resource, subresource: str) -> bool:
    return (
        (subresource == "status" and resource.has_status)
        or (subresource == "scale" and resource.scale is not None)
        or (subresource == "token" and resource.key == "serviceaccounts")
        or (subresource == "finalize" and resource.key == "namespaces")
    )


def _verb(method: str, name: str, query: Mapping[str, str]) -> str:
    verb = _VERBS.get(method)
    if verb is None:
        raise method_not_allowed()
    if verb == "get" and (not name or query.get("watch") in ("true", "1")):
        return "watch" if query.get("watch") in ("true", "1") else "list"
    if verb == "delete" and not name:
        return "deletecollection"
    return verb


def no_method(target: Target) -> Failure | None:
    """A 405 for a verb that the path has no use for, such as POST to an object."""
    collection = {"create", "list", "watch", "deletecollection"}
    if target.subresource:
        wrong = target.verb not in ("get", "update", "patch") and target.subresource != "token"
    elif target.name:
        wrong = target.verb == "create"
    else:
        wrong = target.verb not in collection
    return method_not_allowed() if wrong else None
