"""What each kind has done to it on its way in, and what is wrong with it: the built-ins' strategies, in small.

`k8s.io/kubernetes/pkg/apis/*/{defaults,validation}`, as far as the tests need them; messages as a 1.36 gives them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

from tests.support.apiserver.failures import Cause, bad_request, forbidden_field, invalid_value, required
from tests.support.apiserver.kinds import Object, Resource, dig
from tests.support.apiserver.podspec import complete_pod_spec, drop_empty
from tests.support.apiserver.selectors import matches

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_BAD_NAME = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_BAD_LABEL = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[-+]\d\d:\d\d)")
_ESTABLISHED = {
    "NamesAccepted": {"reason": "NoConflicts", "message": "no conflicts found"},
    "Established": {"reason": "InitialNamesAccepted", "message": "the initial names have been accepted"},
}
_WORKLOADS = ("deployments.apps", "replicasets.apps")


def complete(resource: Resource, body: Object, *, is_new: bool) -> Object:
    """The object with what the server fills in by code rather than by schema."""
    if resource.key in _WORKLOADS:
        spec = body["spec"]
        spec["template"] = drop_empty(spec.get("template") or {})
        complete_pod_spec(spec["template"].get("spec", {}))
        body["status"] = {name: value for name, value in body.get("status", {}).items() if value or name[0] == "t"}
    if resource.key == "deployments.apps" and body["spec"]["strategy"]["type"] == "RollingUpdate":
        spec = body["spec"]
        spec["strategy"]["rollingUpdate"] = {
            "maxUnavailable": "25%",
            "maxSurge": "25%",
            **spec["strategy"].get("rollingUpdate", {}),
        }
    if resource.key == "pods":
        body["spec"] = drop_empty(body.get("spec") or {})
        complete_pod_spec(body["spec"])
        body.setdefault("status", {}).setdefault("phase", "Pending")
    if resource.key == "secrets":
        text = body.pop("stringData", {})
        body["data"] = {**body.get("data", {}), **{k: base64.b64encode(v.encode()).decode() for k, v in text.items()}}
        body.setdefault("type", "Opaque")
    if resource.key == "events":
        body |= {name: body.get(name) for name in ("eventTime", "firstTimestamp", "lastTimestamp")}
        body |= {"source": body.get("source") or {}}
        body |= {name: body.get(name, "") for name in ("reportingComponent", "reportingInstance")}
    if resource.key == "namespaces" and is_new:
        body["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = body["metadata"]["name"]
        body["spec"] = {"finalizers": ["kubernetes"]}
        body["status"] = {"phase": "Active"}
    if resource.key == "customresourcedefinitions.apiextensions.k8s.io":
        names = body["spec"]["names"]
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")
        body["status"] = {
            "acceptedNames": names,
            "storedVersions": [it["name"] for it in body["spec"]["versions"] if it["storage"]],
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": body["metadata"]["creationTimestamp"], **why}
                for kind, why in _ESTABLISHED.items()
            ],
        }
    return body


def judge(resource: Resource, body: Object, old: Object | None) -> Iterator[Cause]:
    """What is wrong with a built-in kind's fields. Raises a 400 `Failure` for what could not even be decoded."""
    spec = body.get("spec", {})
    if resource.key in _WORKLOADS:
        yield from _workload(body, old)
    if resource.key == "pods":
        yield from _pod_spec(spec, "spec")
    if resource.key == "events" and dig(body, ("involvedObject", "namespace"), "") != body["metadata"]["namespace"]:
        namespace = dig(body, ("involvedObject", "namespace"), "")
        if namespace or body["metadata"]["namespace"] != "default":
            yield invalid_value("involvedObject.namespace", namespace, "does not match event.namespace")
    if resource.key == "leases.coordination.k8s.io":
        for name in ("acquireTime", "renewTime"):
            if spec.get(name) is not None and not _MICRO_TIME.fullmatch(spec[name]):
                raise bad_request(
                    'Lease in version "v1" cannot be handled as a Lease: parsing time '
                    f'"{spec[name]}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse it'
                )
        if (spec.get("leaseDurationSeconds") or 1) < 1 or spec.get("leaseDurationSeconds") == 0:
            yield invalid_value("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0")


def judge_metadata(metadata: Object) -> Iterator[Cause]:
    name = metadata.get("name", "")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif len(name) > 253:
        yield invalid_value("metadata.name", name, "must be no more than 253 bytes")
    elif not _SUBDOMAIN.fullmatch(name):
        yield invalid_value("metadata.name", name, _BAD_NAME)
    yield from _labels(metadata.get("labels", {}), "metadata.labels")
    for index, owner in enumerate(metadata.get("ownerReferences", ())):
        for key in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(key):
                yield invalid_value(f"metadata.ownerReferences[{index}].{key}", "", "must not be empty")


def _labels(labels: dict[str, Any], path: str) -> Iterator[Cause]:
    for value in labels.values():
        if len(value) > 63:
            yield invalid_value(path, value, "must be no more than 63 bytes")
        elif not _LABEL_VALUE.fullmatch(value):
            yield invalid_value(path, value, _BAD_LABEL)


def _workload(body: Object, old: Object | None) -> Iterator[Cause]:
    spec = body["spec"]
    selector, labels = spec.get("selector"), dig(spec, ("template", "metadata", "labels"))
    if not isinstance(spec["replicas"], int):
        raise bad_request(f"json: cannot unmarshal {spec['replicas']!r} into Go struct field .spec.replicas of int32")
    if spec["replicas"] < 0:
        yield invalid_value("spec.replicas", spec["replicas"], "must be greater than or equal to 0")
    if not selector:
        yield required("spec.selector")
    if not selector or not matches(selector, labels or {}):
        yield invalid_value("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from _labels(labels or {}, "spec.template.labels")
    yield from _pod_spec(spec["template"].get("spec", {}), "spec.template.spec")
    strategy = spec.get("strategy", {})
    if strategy.get("type") == "Recreate" and "rollingUpdate" in strategy:
        why = "may not be specified when strategy `type` is 'Recreate'"
        yield forbidden_field("spec.strategy.rollingUpdate", why)
    if old and old["spec"].get("selector") != selector:
        yield invalid_value("spec.selector", selector, "field is immutable")


def _pod_spec(spec: Object, path: str) -> Iterator[Cause]:
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    for index, container in enumerate(spec.get("containers", ())):
        for name in ("name", "image"):
            if not container.get(name):
                yield required(f"{path}.containers[{index}].{name}")
