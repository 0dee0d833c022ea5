"""What a client asks before it asks for anything: version, groups, and the resources of each."""

from __future__ import annotations

from tests.support.apiserver.catalog import Catalog
from tests.support.apiserver.kinds import Object, Resource

VERSION: Object = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.2",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "test/memory",
}
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_SUBRESOURCE_VERBS = ["get", "patch", "update"]


def answer(path: str, catalog: Catalog) -> Object | str | None:
    """What is at a path that names no resource, None where nothing is."""
    if path in ("/healthz", "/livez", "/readyz"):
        return "ok"
    if path == "/version":
        return VERSION
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        groups = [_group(name, catalog) for name in sorted({it.group for it in catalog if it.group})]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    parts = path.strip("/").split("/")
    if parts == ["api", "v1"]:
        return _resources("", "v1", catalog)
    if parts[0] == "apis" and len(parts) == 2 and any(it.group == parts[1] for it in catalog):
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1], catalog)}
    if parts[0] == "apis" and len(parts) == 3:
        return _resources(parts[1], parts[2], catalog)
    return None


def _group(name: str, catalog: Catalog) -> Object:
    versions = [
        {"groupVersion": f"{name}/{version}", "version": version}
        for version in sorted({it.version for it in catalog if it.group == name})
    ]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resources(group: str, version: str, catalog: Catalog) -> Object | None:
    found = [it for it in catalog if (it.group, it.version) == (group, version)]
    if not found:
        return None
    listed = [entry for resource in found for entry in _entries(resource)]
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": listed}


def _entries(resource: Resource) -> list[Object]:
    entry: Object = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": ["create"] if resource.plural.startswith("self") else _VERBS,
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    entries = [entry]
    sub = {"singularName": "", "namespaced": resource.namespaced, "verbs": _SUBRESOURCE_VERBS}
    if resource.has_status:
        entries.append({**sub, "name": f"{resource.plural}/status", "kind": resource.kind})
    if resource.scale:
        scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        entries.append({**sub, "name": f"{resource.plural}/scale", **scale})
    return entries
