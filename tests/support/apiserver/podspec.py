"""What the server itself knows of pods and their templates: defaults, and how their lists merge.

Written as structural schemas, so that defaulting, server-side apply and strategic merge need to know one form only.
Defaults: `k8s.io/kubernetes/pkg/apis/core/v1/defaults.go`; merge keys: the markers `+listMapKey` of `k8s.io/api`.
"""

from __future__ import annotations

from typing import Any

from tests.support.apiserver.kinds import Schema


def struct(**properties: Schema) -> dict[str, Any]:
    """An object of which only the named properties matter here; the others pass untouched."""
    return {"type": "object", "properties": properties, "x-kubernetes-preserve-unknown-fields": True}


def by_key(item: Schema, *keys: str) -> dict[str, Any]:
    """A list whose items are told apart by `keys`."""
    return {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def default(value: Any) -> dict[str, Any]:
    return {"default": value, "x-kubernetes-preserve-unknown-fields": True}


ATOMIC = {"type": "object", "x-kubernetes-map-type": "atomic", "x-kubernetes-preserve-unknown-fields": True}
SET = {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}

_PROBE = struct(
    httpGet=struct(scheme=default("HTTP")),
    timeoutSeconds=default(1),
    periodSeconds=default(10),
    successThreshold=default(1),
    failureThreshold=default(3),
)

_CONTAINER = struct(
    env=by_key(struct(valueFrom=struct(fieldRef={**ATOMIC, "properties": {"apiVersion": default("v1")}})), "name"),
    ports=by_key(struct(protocol=default("TCP")), "containerPort", "protocol"),
    volumeMounts=by_key(struct(), "mountPath"),
    livenessProbe=_PROBE,
    readinessProbe=_PROBE,
    startupProbe=_PROBE,
    resources=default({}),
    terminationMessagePath=default("/dev/termination-log"),
    terminationMessagePolicy=default("File"),
)

_VOLUME = struct(
    secret=struct(defaultMode=default(420)),
    configMap=struct(defaultMode=default(420)),
    projected=struct(defaultMode=default(420)),
)

_SPREAD = by_key(struct(labelSelector=ATOMIC), "topologyKey", "whenUnsatisfiable")

POD_SPEC = struct(
    containers=by_key(_CONTAINER, "name"),
    initContainers=by_key(_CONTAINER, "name"),
    volumes=by_key(_VOLUME, "name"),
    imagePullSecrets=by_key(ATOMIC, "name"),
    topologySpreadConstraints=_SPREAD,
    nodeSelector=ATOMIC,
    restartPolicy=default("Always"),
    terminationGracePeriodSeconds=default(30),
    dnsPolicy=default("ClusterFirst"),
    schedulerName=default("default-scheduler"),
    securityContext=default({}),
)

METADATA = struct(finalizers=SET, ownerReferences=by_key(ATOMIC, "uid"))
TEMPLATE = struct(metadata=METADATA, spec=POD_SPEC)
CONDITIONS = by_key(struct(), "type")
POD = struct(metadata=METADATA, spec=POD_SPEC, status=struct(conditions=CONDITIONS))

_MAPS = frozenset({"labels", "annotations", "matchLabels", "nodeSelector", "data"})


def complete_pod_spec(spec: dict[str, Any]) -> None:
    """Fill in the defaults that depend on other fields, in place."""
    for container in [*spec.get("containers", ()), *spec.get("initContainers", ())]:
        if "image" in container and "imagePullPolicy" not in container:
            tag = container["image"].rpartition("/")[2].partition(":")[2]
            container["imagePullPolicy"] = "Always" if tag in ("", "latest") else "IfNotPresent"
    if "serviceAccountName" in spec:
        spec["serviceAccount"] = spec["serviceAccountName"]
    for volume in spec.get("volumes", ()):
        if len(volume) == 1:
            volume["emptyDir"] = {}


def drop_empty(value: Any, *, is_map: bool = False) -> Any:
    """Leave out what Go's `omitempty` leaves out of a built-in kind: null, "" and [] in the fields of a struct."""
    if isinstance(value, list):
        return [drop_empty(item) for item in value]
    if not isinstance(value, dict):
        return value
    cleaned = {name: drop_empty(item, is_map=name in _MAPS) for name, item in value.items()}
    if is_map:
        return cleaned
    return {name: item for name, item in cleaned.items() if item not in (None, "", [])}
