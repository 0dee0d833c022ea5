"""What the server serves: the built-in kinds and those of the CustomResourceDefinitions it was given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.apiserver.builtins import BUILTINS
from tests.support.apiserver.kinds import Object, Resource, ScalePaths
from tests.support.apiserver.rules import Rulebook

CRDS = "customresourcedefinitions.apiextensions.k8s.io"


class Catalog:
    """Resources by group, version and plural."""

    def __init__(self) -> None:
        self._resources = {(it.group, it.version, it.plural): it for it in BUILTINS}
        self._rulebooks: dict[Resource, Rulebook] = {}
        self._custom: dict[str, list[tuple[str, str, str]]] = {}

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._resources.get((group, version, plural))

    def stored(self, key: str) -> Resource:
        """The resource that a storage key belongs to."""
        return next(it for it in self._resources.values() if it.key == key)

    def kind(self, api_version: str, kind: str) -> Resource | None:
        return next((it for it in self if it.api_version == api_version and it.kind == kind), None)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources.values())

    def rulebook(self, resource: Resource) -> Rulebook:
        return self._rulebooks[resource]

    def define(self, crd: Object) -> None:
        """Serve what a CustomResourceDefinition describes, in place of what it described before."""
        self.forget(crd["metadata"]["name"])
        added = [_resource(crd, version) for version in crd["spec"]["versions"] if version.get("served")]
        for resource in added:
            self._resources[resource.group, resource.version, resource.plural] = resource
            self._rulebooks[resource] = Rulebook(resource.schema, is_root=True)
        self._custom[crd["metadata"]["name"]] = [(it.group, it.version, it.plural) for it in added]

    def forget(self, name: str) -> None:
        for known in self._custom.pop(name, ()):
            self._rulebooks.pop(self._resources.pop(known), None)


def _resource(crd: Object, version: dict[str, Any]) -> Resource:
    spec, names = crd["spec"], crd["spec"]["names"]
    subresources = version.get("subresources", {})
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        singular=names["singular"],
        short_names=tuple(names.get("shortNames", ())),
        categories=tuple(names.get("categories", ())),
        schema=version["schema"]["openAPIV3Schema"],
        has_status="status" in subresources,
        scale=_scale(subresources["scale"]) if "scale" in subresources else None,
        counts_generations=True,
        is_custom=True,
        columns=tuple(version.get("additionalPrinterColumns", ())),
    )


def _scale(paths: dict[str, str]) -> ScalePaths:
    def split(name: str) -> tuple[str, ...]:
        return tuple(filter(None, paths.get(name, "").split(".")))

    return ScalePaths(split("specReplicasPath"), split("statusReplicasPath"), split("labelSelectorPath") or None)
